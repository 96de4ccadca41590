import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { SugarError, SystemError, systemCode } from '../errors.js'
import { isDiskFull, writeFileAtomic } from '../lib/durable-file.js'

/**
 * Writes a file for this user alone, whole or not at all: what was there under the name stays until all is on the disk.
 * Until then it lies beside it as `.NAME.XXXXXXXX.part`; only a crash leaves such a file behind.
 * @throws SystemError NO_SPACE, NOT_WRITABLE; what the content throws
 */
export async function writeWhole(to: string, content: AsyncIterable<Buffer>): Promise<void> {
  const part = join(dirname(to), `.${basename(to).slice(0, 50)}.${randomBytes(4).toString('hex')}.part`)
  try {
    await writeFileAtomic(to, content, { part })
  } catch (error) {
    throw explain(error, to)
  }
}

function explain(error: unknown, to: string): unknown {
  const code = systemCode(error)
  if (error instanceof SugarError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error
  const isFull = isDiskFull(error)
  return new SystemError(isFull ? 'NO_SPACE' : 'NOT_WRITABLE', `${to} cannot be written (${code})`, {
    hint: isFull ? 'make room on its disk' : 'see that the user of this server may write there',
    cause: error,
  })
}
