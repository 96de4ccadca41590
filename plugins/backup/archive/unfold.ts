import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { SystemError } from '../../../core/api.js'
import type { LinkRow, Row, Tree } from '../tree.js'
import type { Progress } from './progress.js'
import { padding, tarEnd, tarHeader } from './tar.js'

/** What a link becomes; undefined leaves it out. */
export type Relink = (row: LinkRow) => string | undefined

/**
 * A tree as a tar stream. One file that is damaged ends it with an error: better none than one that is short.
 * @param prefix goes in front of each path
 */
export async function* tarOf(
  tree: Tree,
  prefix: string,
  relink: Relink,
  progress?: Progress,
): AsyncGenerator<Buffer> {
  for (const row of tree.rows()) {
    const path = row.path === '' ? prefix.replace(/\/$/, '') : prefix + row.path
    if (path === '') continue
    if (row.type === 'link') {
      const target = relink(row)
      if (target !== undefined) yield tarHeader({ ...row, target }, path)
      continue
    }
    yield tarHeader(row, path)
    if (row.type !== 'file') continue
    progress?.step(row.size)
    for await (const piece of tree.pieces(row)) yield piece
    yield padding(row.size)
  }
  yield tarEnd()
}

/**
 * Writes a tree into a directory, by GNU tar: nothing else here sets times to the nanosecond. The directory is new
 * and nobody else's, so no link can lead a file elsewhere; tar itself makes links last.
 */
export async function unfold(tree: Tree, to: string, relink: Relink, progress?: Progress): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  const args = ['-x', '-p', '-f', '-', '-C', to, '--no-same-owner', '--delay-directory-restore']
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
  let failure: unknown
  try {
    await pipeline(Readable.from(tarOf(tree, './', relink, progress), { objectMode: false }), tar.stdin)
  } catch (error) {
    failure = error
    tar.kill()
  }
  const [code] = await ended
  if (code !== 0) {
    if (/No space left/.test(said)) {
      throw new SystemError('NO_SPACE', `no room to write ${to}`, {
        hint: 'make room, or choose another disk',
      })
    }
    throw (
      failure ??
      new SystemError('NOT_WRITABLE', `${to} cannot be written: ${said.trim()}`, {
        hint: 'see that the directory can be written and has room',
      })
    )
  }
}

/** Whether a link, made where its row is, leads to something within the tree. */
export function staysInside({ path, target }: Row & { target: string }): boolean {
  if (target.startsWith('/') || target.includes('\0')) return false
  let depth = path.split('/').length - 1
  for (const part of target.split('/')) {
    if (part === '..') depth -= 1
    else if (part !== '' && part !== '.') depth += 1
    if (depth < 0) return false
  }
  return true
}
