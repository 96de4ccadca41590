import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { synced } from './datafile.js'

interface Waiting {
  line: string
  resolve(): void
  reject(error: Error): void
}

/**
 * Appends lines to a file and says when they are on the disk.
 *
 * Lines that come while a write is under way go out together in the next one, with one fdatasync for all of
 * them. One file handle stays open: a server that has run out of descriptors still writes.
 *
 * When a write or sync fails, the lines of that batch and all that wait are rejected and nothing more is taken:
 * what lies behind `durable` may be half a line. recover() cuts it off.
 */
export class Journal {
  readonly #path: string
  readonly #onFailure: (error: Error) => void
  #file: FileHandle
  #durable: number
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #failure: Error | undefined

  private constructor(path: string, file: FileHandle, size: number, onFailure: (error: Error) => void) {
    this.#path = path
    this.#file = file
    this.#durable = size
    this.#onFailure = onFailure
  }

  static async open(path: string, onFailure: (error: Error) => void): Promise<Journal> {
    const file = await open(path, 'a+', 0o600)
    // What a killed server wrote may not be on the disk yet, and neither may the name of a file that is new.
    await file.sync()
    const { size } = await file.stat()
    if (size === 0) await synced(dirname(path))
    return new Journal(path, file, size, onFailure)
  }

  /** Bytes that are safely on the disk. */
  get durable(): number {
    return this.#durable
  }

  /** Whether a write failed, and nothing is taken until recover(). */
  get failed(): boolean {
    return this.#failure !== undefined
  }

  /** @returns when the line has reached the disk; rejects with the system's error when it cannot */
  append(line: string): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject })
      this.#writing ??= this.#drain()
    })
  }

  /** Resolves when nothing waits any more, whether it was written or rejected. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  /** Cuts off what a failed write left behind, and accepts lines again. Needs no room on the disk. */
  async recover(): Promise<void> {
    await this.settled()
    await this.#file.truncate(this.#durable)
    await this.#file.sync()
    this.#failure = undefined
  }

  /** Takes up the file anew after somebody replaced it. Only while nothing is being appended. */
  async reopen(): Promise<void> {
    const fresh = await open(this.#path, 'a+', 0o600)
    await this.#file.close()
    this.#file = fresh
    this.#durable = (await fresh.stat()).size
  }

  async close(): Promise<void> {
    await this.settled()
    this.#failure ??= new Error('the journal is closed')
    await this.#file.close()
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      // One turn of the event loop gathers the appends of all requests that arrived together.
      await new Promise(setImmediate)
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#write(Buffer.from(batch.map(({ line }) => `${line}\n`).join('')))
        for (const { resolve } of batch) resolve()
      } catch (error) {
        this.#fail(error as Error, [...batch, ...this.#waiting])
      }
    }
    this.#writing = undefined
  }

  async #write(bytes: Buffer): Promise<void> {
    let written = 0
    // Near a full disk a write takes a part and only the next one fails.
    while (written < bytes.length) {
      written += (await this.#file.write(bytes, written, bytes.length - written)).bytesWritten
    }
    await this.#file.datasync()
    this.#durable += bytes.length
  }

  #fail(error: Error, rejected: Waiting[]): void {
    this.#failure = error
    this.#waiting = []
    this.#onFailure(error)
    for (const { reject } of rejected) reject(error)
  }
}
