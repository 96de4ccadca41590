import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { unwritten } from '../lib/disk-fault.js'
import { writeFileAtomic } from '../lib/durable-file.js'

/**
 * Writes a file for this user alone, whole or not at all: what was there under the name stays until all is on the disk.
 * Until then it lies beside it as `.NAME.XXXXXXXX.part`; only a crash leaves such a file behind.
 * @throws SystemError NO_SPACE, DISK_FAILING, NOT_WRITABLE; what the content throws
 */
export async function writeWhole(to: string, content: AsyncIterable<Buffer>): Promise<void> {
  const part = join(dirname(to), `.${basename(to).slice(0, 50)}.${randomBytes(4).toString('hex')}.part`)
  try {
    await writeFileAtomic(to, content, { part })
  } catch (error) {
    throw unwritten(to, error)
  }
}
