import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { unwritten } from '../lib/disk-fault.js'

/**
 * Writes a file for this user alone, whole or not at all: what was there under the name stays until all is on the disk.
 * Until then it lies beside it as `.NAME.XXXXXXXX.part`; only a crash leaves such a file behind.
 * @throws SystemError NO_SPACE, DISK_FAILING, NOT_WRITABLE; what the content throws
 */
export async function writeWhole(to: string, content: AsyncIterable<Buffer>): Promise<void> {
  const part = join(dirname(to), `.${basename(to).slice(0, 50)}.${randomBytes(4).toString('hex')}.part`)
  try {
    const file = await open(part, 'wx', 0o600)
    try {
      for await (const chunk of content) await file.writeFile(chunk)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, to)
    await flush(await open(dirname(to), 'r'))
  } catch (error) {
    await rm(part, { force: true })
    throw unwritten(to, error)
  }
}

const flush = (directory: FileHandle): Promise<void> => directory.sync().finally(() => directory.close())
