import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, rmdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Additions, Call, Delivery } from '../command.js'
import { RequestError, SystemError, systemCode } from '../errors.js'
import { unwritten } from '../lib/disk-fault.js'
import { fsyncDir } from '../lib/durable-file.js'
import { syncFileSystem } from '../lib/sync-file-system.js'
import { removeTree, unpack } from '../unpack.js'
import { addFiles } from './additions.js'

type Whole = Exclude<Delivery, Additions>

/** Milliseconds that a disk, perhaps a slow stick, has to take what was written. */
const longestFlush = 1_800_000

/**
 * Writes what a command delivers: whole, or not at all.
 * @param typed the paths that were typed: whoever answers on the control socket may name these and no others, for the
 *   person here may be root and the server is not
 * @param note is told what the person should know of how it was written, a line each
 */
export function receiver(
  typed: ReadonlySet<string>,
  note: (line: string) => void = () => undefined,
): Call['deliver'] {
  return async (what, content) => {
    if (!typed.has(what.to)) throw new RequestError('REFUSED', `nobody asked for ${what.to} to be written`)
    if (what.form === 'additions') return addFiles(what, content, note)
    const making = await placeBeside(what.to)
    try {
      await (what.form === 'file' ? writeFile : writeDirectory)(what, content, making)
      await fsyncDir(dirname(what.to))
    } catch (error) {
      throw explain(error, what.to)
    } finally {
      await removeTree(making)
    }
  }
}

async function writeFile({ to }: Whole, content: AsyncIterable<Uint8Array>, making: string): Promise<void> {
  await pipeline(
    Readable.from(content, { objectMode: false }),
    createWriteStream(making, { mode: 0o600, flags: 'wx' }),
  )
  await flush(making)
  try {
    // Unlike a rename, a link never replaces what is there.
    await link(making, to)
  } catch (error) {
    // A USB stick, whose file system knows no links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCode(error) ?? '')) throw error
    await (await open(to, 'wx')).close()
    await rename(making, to)
  }
}

async function writeDirectory(
  { to }: Whole,
  content: AsyncIterable<Uint8Array>,
  making: string,
): Promise<void> {
  if (!(await isFree(to))) throw occupied(to)
  await mkdir(making, { mode: 0o700 })
  await unpack(content, making)
  // Whatever the archive says: programs that run as somebody else are not made here.
  spawnSync('chmod', ['-R', 'a-st', making], { stdio: 'ignore' })
  await syncFileSystem(making, AbortSignal.timeout(longestFlush))
  await rmdir(to).catch(() => undefined)
  // Of a directory that came meanwhile, only an empty one gives way.
  await rename(making, to)
}

/** Whether nothing is there, or an empty directory. */
export async function isFree(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory() && (await readdir(path)).length === 0
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return true
    throw error
  }
}

/** A name for what is not whole yet, from where it can be renamed. */
async function placeBeside(to: string): Promise<string> {
  const folder = await stat(dirname(to)).catch(() => undefined)
  if (folder?.isDirectory() === true)
    return join(dirname(to), `.${basename(to).slice(0, 50)}.${randomBytes(4).toString('hex')}`)
  throw new SystemError('NOT_WRITABLE', `${dirname(to)} is no directory`, {
    hint: 'make it, or name a place in one that is there',
  })
}

/** Has a file written to the disk. */
async function flush(path: string): Promise<void> {
  const file = await open(path, 'r')
  await file.sync().finally(() => file.close())
}

/** What is there already is not overwritten. */
export const occupied = (to: string): RequestError =>
  new RequestError('REFUSED', `${to} is there already`, {
    hint: 'name one that is not there yet; nothing is overwritten',
  })

function explain(error: unknown, to: string): unknown {
  const code = systemCode(error)
  if (code === 'EEXIST' || code === 'ENOTEMPTY') return occupied(to)
  return unwritten(to, error, {
    full: 'make room, or name another disk',
    denied: 'name a place where you may write',
  })
}
