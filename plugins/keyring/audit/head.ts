import { constants, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fsyncDir } from '../../../core/api.js'
import type { Link } from './line.js'

/** Where the log ended when it was last looked at. */
export interface HeadNote extends Link {
  /** Bytes of the log. */
  readonly size: number
  /** When the newest signature was made that counts, ISO 8601; none: empty. */
  readonly newest: string
}

const form = /^(\d{16}) (\d{16}) ([0-9a-f]{64}) (\d{4}-\d\d-\d\dT[\d:.]{12}Z| {24})\n$/
const length = 16 + 1 + 16 + 1 + 64 + 1 + 24 + 1
const millisecondsBetweenSyncs = 1000

/**
 * A note of where the log ends, beside it: so that it is seen when the end of the log is cut off. Written in place, all
 * in one sector, after the lines it speaks of have reached the disk: it may be behind after a power cut, never ahead.
 */
export class Head {
  readonly file: FileHandle
  // performance.now() of a young process is less than the time between two.
  #syncedAt = Number.NEGATIVE_INFINITY

  private constructor(file: FileHandle) {
    this.file = file
  }

  /** @returns the note as well, undefined when there is none that can be read */
  static async open(path: string): Promise<{ head: Head; note: HeadNote | undefined }> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
    try {
      const bytes = Buffer.alloc(length)
      const { bytesRead } = await file.read(bytes, 0, length, 0)
      if (bytesRead === 0) await fsyncDir(dirname(path))
      return { head: new Head(file), note: parse(bytes.toString('latin1', 0, bytesRead)) }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Needs no room on the disk but for the first time. */
  async write({ n, size, hash, newest }: HeadNote): Promise<void> {
    const text = `${String(n).padStart(16, '0')} ${String(size).padStart(16, '0')} ${hash} ${newest.padEnd(24)}\n`
    writeSync(this.file.fd, Buffer.from(text, 'latin1'), 0, length, 0)
    if (performance.now() - this.#syncedAt < millisecondsBetweenSyncs) return
    await this.file.datasync()
    this.#syncedAt = performance.now()
  }

  async close(): Promise<void> {
    await this.file.datasync().finally(() => this.file.close())
  }
}

function parse(text: string): HeadNote | undefined {
  const [, n, size, hash, newest] = form.exec(text) ?? []
  if (n === undefined || size === undefined || hash === undefined || newest === undefined) return undefined
  return { n: Number(n), size: Number(size), hash, newest: newest.trimEnd() }
}
