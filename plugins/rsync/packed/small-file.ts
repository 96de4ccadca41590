import { RequestError } from '../../../core/api.js'
import { PackedFile } from '../unpack/packed-file.js'
import { refusal } from '../unpack/refusal.js'

/** Bytes of a file that holds a line or a few. */
const most = 64 * 1024

/**
 * Reads a file of a few lines, a character a byte.
 * @returns undefined when it is not there
 * @throws RequestError REQUEST_INVALID, REFUSED; SystemError
 */
export async function readSmall(path: string): Promise<string | undefined> {
  let file: PackedFile
  try {
    file = await PackedFile.open(path)
  } catch (error) {
    if (error instanceof RequestError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
  try {
    if (file.size > most) throw refusal(`${path} has ${file.size} bytes, where a line is expected`)
    return (await file.head(most)).toString('latin1')
  } finally {
    await file.close()
  }
}
