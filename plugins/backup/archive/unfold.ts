import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { SystemError, systemCode } from '../../../core/api.js'
import type { LinkRow, Row, Tree } from '../tree.js'
import { noRoom } from './flush.js'
import type { Progress } from './progress.js'
import { tarOf } from './tar.js'

/** What a link becomes; undefined leaves it out. */
export type Relink = (row: LinkRow) => string | undefined

/**
 * Writes a tree into a directory, by GNU tar: nothing else here sets times to the nanosecond. The directory is new
 * and nobody else's, so no link can lead a file elsewhere; tar itself makes links last.
 * @throws SystemError DAMAGED, NO_SPACE, NOT_WRITABLE
 */
export async function unfold(tree: Tree, to: string, relink: Relink, progress?: Progress): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  // The top is a member as well: it has a mode and a time.
  const top = Buffer.from(basename(to)).toString('latin1')
  const args = ['-x', '-p', '-f', '-', '-C', dirname(to), '--no-same-owner', '--delay-directory-restore']
  const tar = spawn('tar', args, {
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let said = ''
  tar.stderr.setEncoding('latin1').on('data', (text: string) => {
    said = (said + text).slice(-2000)
  })
  const ended = once(tar, 'close')
  ended.catch(() => undefined)
  const place = (row: Row): Row | undefined => {
    progress?.step(row.type === 'file' ? row.size : 0)
    const path = row.path === '' ? top : `${top}/${row.path}`
    if (row.type !== 'link') return { ...row, path }
    const target = relink(row)
    return target === undefined ? undefined : { ...row, path, target }
  }
  let failure: unknown
  try {
    await pipeline(Readable.from(tarOf(tree, place), { objectMode: false }), tar.stdin)
  } catch (error) {
    failure = error
    tar.kill()
  }
  const [code] = await ended
  if (code === 0 && failure === undefined) return
  if (/No space left|quota exceeded/i.test(said)) throw noRoom(`there is no room to write ${to}`)
  // When tar ends early, why is in what it said, and not in the broken pipe.
  if (failure !== undefined && systemCode(failure) !== 'EPIPE') throw failure
  throw new SystemError('NOT_WRITABLE', `${to} cannot be written: ${said.trim()}`, {
    hint: 'see that the directory can be written and has room',
  })
}

/** Removes a tree of ours, directories included that shut everybody out. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(systemCode(error) ?? '')) throw error
    spawnSync('find', [path, '-type', 'd', '-exec', 'chmod', 'u+rwx', '{}', ';'], { stdio: 'ignore' })
    await rm(path, { recursive: true, force: true })
  }
}
