import type { Delivery, InputFile } from '../command.js'
import { RequestError } from '../errors.js'

/** A command as it goes to the server; the files it takes follow behind it. */
export interface CommandRequest {
  plugin: string
  command: string
  args: Record<string, string>
  /** Options as they were typed. */
  options: Record<string, string>
  /** Directory in which it was typed. */
  cwd: string
  json: boolean
}

/** What comes back, a line each. */
export type CommandReply =
  | { out: string }
  | { err: string }
  // Behind it come lines `{"bytes"}`, each followed by that many bytes; 0 is the end, and -1 one that came too early.
  | { deliver: Delivery }
  | { exit: number; code?: string; message?: string; hint?: string }

export const largestFile = 64 << 20
const longestLine = 64 << 10
const longestPiece = 1 << 20

export const frame = (value: unknown): string => `${JSON.stringify(value)}\n`

/** Writes files as `{"path","size"}` lines, each followed by that many bytes. */
export async function* fileFrames(files: AsyncIterable<InputFile>): AsyncGenerator<string | Buffer> {
  for await (const { path, bytes } of files) {
    yield frame({ path, size: bytes.length })
    yield bytes
  }
}

/** Writes a delivery: its head, and its content in counted pieces. */
export async function* deliveryFrames(
  what: Delivery,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<string | Uint8Array> {
  yield frame({ deliver: what })
  try {
    for await (const piece of content) {
      for (let at = 0; at < piece.length; at += longestPiece) {
        const part = piece.subarray(at, at + longestPiece)
        // In one: a note of the command may come between any two.
        yield Buffer.concat([Buffer.from(frame({ bytes: part.length })), part])
      }
    }
  } catch (error) {
    yield frame({ bytes: -1 })
    throw error
  }
  yield frame({ bytes: 0 })
}

/** A delivery ended too early; why, says the reply of the command. */
export class BrokenOff extends Error {}

/** Reads lines of JSON, and counted bytes between them, from a stream. */
export class FrameReader {
  readonly #chunks: AsyncIterator<Buffer>
  readonly #longest: number
  #rest: Buffer = Buffer.alloc(0)

  /** @param longest bytes that a line may have */
  constructor(stream: AsyncIterable<Buffer>, longest = longestLine) {
    this.#longest = longest
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** @returns the next line's value, or undefined at the end */
  async line(): Promise<unknown> {
    for (;;) {
      const end = this.#rest.indexOf(10)
      if (end >= 0) {
        const text = this.#rest.subarray(0, end).toString('utf8')
        this.#rest = this.#rest.subarray(end + 1)
        return parse(text)
      }
      if (this.#rest.length > this.#longest)
        throw new RequestError('REQUEST_TOO_LARGE', 'a line of the request is too long')
      if (!(await this.#more())) return undefined
    }
  }

  async bytes(size: number): Promise<Buffer> {
    const parts = []
    let missing = size
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) {
        throw new RequestError('REQUEST_INVALID', 'the input ended too early')
      }
      const part = this.#rest.subarray(0, missing)
      parts.push(part)
      this.#rest = this.#rest.subarray(part.length)
      missing -= part.length
    }
    return Buffer.concat(parts)
  }

  /** The files behind the command. */
  async *files(): AsyncGenerator<InputFile> {
    for (;;) {
      const head = (await this.line()) as { path?: unknown; size?: unknown } | null | undefined
      if (head === undefined) return
      const { path, size } = head ?? {}
      if (typeof path !== 'string' || typeof size !== 'number' || size < 0) throw garbled()
      if (size > largestFile) throw new RequestError('REQUEST_TOO_LARGE', `${path} is larger than 64 MiB`)
      if (!Number.isInteger(size)) throw garbled()
      yield { path, bytes: await this.bytes(size) }
    }
  }

  /** The content behind a delivery's head. @param other hears the lines between that are no part of it */
  async *delivery(other: (line: unknown) => void): AsyncGenerator<Buffer> {
    for (;;) {
      const line = await this.line()
      const { bytes } = (line ?? {}) as { bytes?: unknown }
      if (line !== undefined && bytes === undefined) {
        other(line)
        continue
      }
      if (bytes === -1) throw new BrokenOff()
      if (typeof bytes !== 'number' || !(bytes >= 0 && bytes <= longestPiece)) throw garbled()
      if (bytes === 0) return
      yield await this.bytes(bytes)
    }
  }

  /** Reads on to the end and forgets it: whoever still writes must not find the door shut. */
  async drain(): Promise<void> {
    this.#rest = Buffer.alloc(0)
    while (!(await this.#chunks.next()).done);
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next()
    if (done === true) return false
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value])
    return true
  }
}

const garbled = (): RequestError => new RequestError('REQUEST_INVALID', 'the input is garbled')

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw garbled()
  }
}
