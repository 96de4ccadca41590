import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { RequestError, SystemError, systemCode } from '../../../core/api.js'

const chunkSize = 256 * 1024

/** Of all of a file; hex. */
export interface Sums {
  readonly sha256: string
  readonly md5: string
}

/** A file that is read once, from one end to the other, and summed on the way. */
export class PackedFile {
  readonly size: number
  /** Bytes that have been read. */
  done = 0
  readonly #file: FileHandle
  readonly #path: string
  readonly #sha256 = createHash('sha256')
  readonly #md5 = createHash('md5')

  private constructor(file: FileHandle, path: string, size: number) {
    this.#file = file
    this.#path = path
    this.size = size
  }

  /** @throws RequestError NOT_FOUND, REFUSED; SystemError REFUSED */
  static async open(path: string): Promise<PackedFile> {
    // A fifo would have us wait for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error) =>
      unreadable(error, path),
    )
    const about = await file.stat()
    if (about.isFile()) return new PackedFile(file, path, about.size)
    await file.close()
    throw new RequestError('REFUSED', `${path} is not a file`)
  }

  /** Its first bytes, which are read again then. */
  async head(length: number): Promise<Buffer> {
    const { buffer, bytesRead } = await this.#file
      .read(Buffer.alloc(length), 0, length, 0)
      .catch((error) => unreadable(error, this.#path))
    return buffer.subarray(0, bytesRead)
  }

  /** All that has not been read yet. @throws SystemError DAMAGED */
  async *rest(): AsyncGenerator<Buffer> {
    for (;;) {
      const buffer = Buffer.allocUnsafeSlow(chunkSize)
      const { bytesRead } = await this.#file
        .read(buffer, 0, chunkSize, this.done)
        .catch((error) => unreadable(error, this.#path))
      if (bytesRead === 0) return
      const chunk = buffer.subarray(0, bytesRead)
      this.done += bytesRead
      this.#sha256.update(chunk)
      this.#md5.update(chunk)
      yield chunk
    }
  }

  /** Reads what others had no use for, and says the sums of all of it. Called once. */
  async sums(): Promise<Sums> {
    for await (const _ of this.rest());
    return { sha256: this.#sha256.digest('hex'), md5: this.#md5.digest('hex') }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** Says why a file cannot be read. @throws RequestError NOT_FOUND; SystemError DAMAGED, REFUSED */
export function unreadable(error: unknown, path: string): never {
  const code = systemCode(error)
  if (code === 'ENOENT') throw new RequestError('NOT_FOUND', `there is no file ${path}`)
  if (code === 'EIO') {
    throw new SystemError('DAMAGED', `${path} cannot be read (EIO)`, {
      hint: 'check its disk, and copy it anew',
    })
  }
  throw new SystemError('REFUSED', `${path} cannot be read (${code})`, {
    hint: `let the user of this server read it, uid ${process.geteuid?.()}`,
    cause: error,
  })
}
