import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { RequestError, SystemError, systemCode } from '../errors.js'

/** Bytes that are read at a time. */
const chunkSize = 256 * 1024

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants

/** What stats and directory entries have in common. */
interface Kind {
  isFile(): boolean
  isDirectory(): boolean
  isSymbolicLink(): boolean
  isFIFO(): boolean
  isSocket(): boolean
}

/** What something in a directory is, in words: `file`, `directory`, `symbolic link`, ... */
export function kindOf(found: Kind): string {
  if (found.isFile()) return 'file'
  if (found.isDirectory()) return 'directory'
  if (found.isSymbolicLink()) return 'symbolic link'
  if (found.isFIFO()) return 'fifo'
  return found.isSocket() ? 'socket' : 'device'
}

/** A file that was brought here by somebody: opened without following a link, and without waiting for anybody. */
export class PlainFile {
  readonly size: number
  readonly #handle: FileHandle
  readonly #shown: string
  readonly #atFirst: BigIntStats

  private constructor(handle: FileHandle, shown: string, atFirst: BigIntStats) {
    this.#handle = handle
    this.#shown = shown
    this.#atFirst = atFirst
    this.size = Number(atFirst.size)
  }

  /**
   * @param limit bytes that it may have
   * @param shown its path for people, where `path` says nothing to them
   * @throws RequestError NOT_FOUND; REFUSED what is no file; REQUEST_TOO_LARGE
   * @throws SystemError REFUSED, DAMAGED when the system does not let it be read
   */
  static async open(path: string, limit: number, shown = path): Promise<PlainFile> {
    const handle = await openUnread(path, shown)
    try {
      const stats = await handle.stat({ bigint: true })
      if (!stats.isFile()) throw notFile(shown, `a ${kindOf(stats)}`)
      if (stats.size > limit) {
        const message = `${shown} has ${stats.size} bytes, and may have ${limit}`
        throw new RequestError('REQUEST_TOO_LARGE', message)
      }
      return new PlainFile(handle, shown, stats)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * Its bytes, once. Each chunk is valid until the next is asked for.
   * @throws RequestError DAMAGED when the file changes meanwhile; SystemError DAMAGED when it cannot be read
   */
  async *content(signal?: AbortSignal): AsyncGenerator<Buffer, void> {
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunkSize, this.size + 1))
    let rest = this.size
    for (;;) {
      signal?.throwIfAborted()
      const bytesRead = await this.#read(buffer)
      if (bytesRead > rest || (bytesRead === 0 && rest > 0)) throw this.#changed()
      if (bytesRead === 0) break
      rest -= bytesRead
      yield buffer.subarray(0, bytesRead)
    }
    const { size, mtimeNs, ctimeNs } = await this.#handle.stat({ bigint: true })
    const before = this.#atFirst
    if (size !== before.size || mtimeNs !== before.mtimeNs || ctimeNs !== before.ctimeNs)
      throw this.#changed()
  }

  /** All its bytes. @throws as content() does */
  async whole(signal?: AbortSignal): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(this.size)
    let filled = 0
    for await (const chunk of this.content(signal)) filled += chunk.copy(bytes, filled)
    return bytes
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  async #read(buffer: Buffer): Promise<number> {
    try {
      return (await this.#handle.read(buffer, 0, buffer.length, null)).bytesRead
    } catch (cause) {
      throw unreadable(this.#shown, cause)
    }
  }

  #changed(): RequestError {
    return new RequestError('DAMAGED', `${this.#shown} changed while it was read`, {
      hint: 'try again when nothing writes to it any more',
    })
  }
}

async function openUnread(path: string, shown: string): Promise<FileHandle> {
  try {
    return await open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'ENOENT') throw new RequestError('NOT_FOUND', `there is no file ${shown}`)
    if (code === 'ELOOP') throw notFile(shown, 'a symbolic link')
    if (code === 'ENXIO') throw notFile(shown, 'a socket or a device')
    throw unreadable(shown, cause)
  }
}

const notFile = (shown: string, kind: string): RequestError =>
  new RequestError('REFUSED', `${shown} is not a file but ${kind}`, {
    hint: 'put the file itself there',
  })

/** What a failed call on a file or directory that was brought here means. */
export function unreadable(shown: string, cause: unknown): SystemError {
  const code = systemCode(cause)
  const isForbidden = code === 'EACCES' || code === 'EPERM'
  return new SystemError(isForbidden ? 'REFUSED' : 'DAMAGED', `${shown} cannot be read (${code})`, {
    hint: isForbidden
      ? 'mount the stick, or set the permissions, so that the user of this server can read it'
      : 'copy its files to another stick',
    cause,
  })
}
