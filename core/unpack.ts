import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { SystemError, systemCode } from './errors.js'
import { diskError, diskFaultIn } from './lib/disk-fault.js'

/**
 * Unpacks a tar stream into a directory, by GNU tar: nothing else here sets times to the nanosecond and takes names of
 * any bytes. The directory must be new and nobody else's, so that no link in it can lead a file elsewhere; tar itself
 * makes links last.
 * @throws SystemError NO_SPACE, NOT_WRITABLE; what the content throws
 */
export async function unpack(content: AsyncIterable<Uint8Array>, directory: string): Promise<void> {
  const args = ['-x', '-p', '-f', '-', '-C', directory, '--no-same-owner', '--delay-directory-restore']
  const tar = spawn('tar', args, {
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let said = ''
  tar.stderr.setEncoding('latin1').on('data', (text: string) => {
    said = (said + text).slice(-2000)
  })
  const ended = once(tar, 'close').then(([code]) => code === 0)
  ended.catch(() => undefined)
  try {
    await feed(content, tar.stdin, ended)
  } catch (error) {
    tar.kill()
    await ended
    throw error
  }
  if (await ended) return
  const fault = diskFaultIn(said)
  if (fault !== undefined) throw diskError(directory, fault, { full: 'make room, or name another disk' })
  throw new SystemError('NOT_WRITABLE', `${directory} cannot be written: ${said.trim()}`, {
    hint: 'see that the directory can be written and has room',
  })
}

/**
 * Writes content to tar. Tar goes at the end that the archive itself marks; whether all was well is known only when the
 * content has ended too, so it is read on.
 * @param ended whether tar ended well
 * @throws what the content throws
 */
async function feed(
  content: AsyncIterable<Uint8Array>,
  stdin: Writable,
  ended: Promise<boolean>,
): Promise<void> {
  // Why tar ended is in what it said, and not in the broken pipe.
  stdin.on('error', () => undefined)
  const closed = new Promise((resolve) => stdin.once('close', resolve))
  for await (const chunk of content) {
    if (!stdin.destroyed && !stdin.write(chunk))
      await Promise.race([closed, new Promise((resolve) => stdin.once('drain', resolve))])
    if (stdin.destroyed && !(await ended)) return
  }
  stdin.end()
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
