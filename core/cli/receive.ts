import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Call, Delivery } from '../command.js'
import { RequestError, SystemError, systemCode } from '../errors.js'
import { unpack } from '../unpack.js'

/**
 * Writes what a command delivers: whole, or not at all.
 * @param typed the paths that were typed: whoever answers on the control socket may name these and no others, for the
 *   person here may be root and the server is not
 */
export function receiver(typed: ReadonlySet<string>): Call['deliver'] {
  return async (what, content) => {
    if (!typed.has(what.to)) throw new RequestError('REFUSED', `nobody asked for ${what.to} to be written`)
    const making = join(dirname(what.to), `.${basename(what.to)}.${randomBytes(4).toString('hex')}`)
    try {
      await (what.form === 'file' ? writeFile : writeDirectory)(what, content, making)
    } catch (error) {
      throw explain(error, what.to)
    } finally {
      await rm(making, { recursive: true, force: true })
    }
  }
}

async function writeFile(
  { to }: Delivery,
  content: AsyncIterable<Uint8Array>,
  making: string,
): Promise<void> {
  await pipeline(
    Readable.from(content, { objectMode: false }),
    createWriteStream(making, { mode: 0o600, flags: 'wx' }),
  )
  const file = await open(making, 'r')
  await file.sync().finally(() => file.close())
  try {
    // Unlike a rename, a link never replaces what is there.
    await link(making, to)
  } catch (error) {
    // USB sticks have file systems without links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCode(error) ?? '')) throw error
    if (await exists(to)) throw taken(to)
    await rename(making, to)
  }
}

async function writeDirectory(
  { to }: Delivery,
  content: AsyncIterable<Uint8Array>,
  making: string,
): Promise<void> {
  if ((await exists(to)) && (await readdir(to)).length > 0) throw taken(to)
  await mkdir(making, { mode: 0o700 })
  await unpack(content, making)
  // Whatever the archive says: programs that run as somebody else are not made here.
  spawnSync('chmod', ['-R', 'a-st', making], { stdio: 'ignore' })
  await rmdir(to).catch(() => undefined)
  await rename(making, to)
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

const taken = (to: string): RequestError =>
  new RequestError('REFUSED', `${to} is there already`, {
    hint: 'name one that is not there yet; nothing is overwritten',
  })

function explain(error: unknown, to: string): unknown {
  const code = systemCode(error)
  if (code === 'EEXIST' || code === 'ENOTEMPTY' || code === 'ENOTDIR') return taken(to)
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error
  return new SystemError(
    code === 'ENOSPC' ? 'NO_SPACE' : 'NOT_WRITABLE',
    `${to} cannot be written (${code})`,
    {
      hint: 'name a place where you may write and that has room',
      cause: error,
    },
  )
}
