import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { RequestError, systemCode } from '../../../core/api.js'

/**
 * Opens a file, and nothing that a reader could wait at.
 * @throws RequestError NOT_FOUND
 */
export async function openPlain(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    const hint = 'check the path, and whether you may read it'
    throw new RequestError('NOT_FOUND', `${path} cannot be read (${systemCode(cause)})`, { hint, cause })
  })
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw new RequestError('NOT_FOUND', `${path} is no file`, { hint: 'name a file' })
}

/**
 * Reads a file that was opened, from its start.
 * @param path for errors
 * @param most bytes
 * @throws RequestError REQUEST_TOO_LARGE
 */
export async function readWhole(handle: FileHandle, path: string, most: number): Promise<Buffer> {
  const bytes = await buffer(handle.createReadStream({ start: 0, end: most, autoClose: false }))
  if (bytes.length <= most) return bytes
  throw new RequestError(
    'REQUEST_TOO_LARGE',
    `${path} has more than the ${most} bytes that are read of such a file`,
  )
}

/** Opens a small file, reads it, and closes it. @throws RequestError NOT_FOUND, REQUEST_TOO_LARGE */
export async function readPlain(path: string, most: number): Promise<Buffer> {
  const handle = await openPlain(path)
  return readWhole(handle, path, most).finally(() => handle.close())
}
