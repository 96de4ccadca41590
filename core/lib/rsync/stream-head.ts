import { RequestError } from '../../errors.js'
import { ruleFault } from './filter-rule.js'

/** What the beginning of an rsync client's stream consists of. Plain data: it can be sent to another process. */
export interface StreamShape {
  /** The highest protocol that the rsync on this machine offers this client. */
  readonly offered: number
  /** The protocol that both have agreed upon; undefined when the client's stream begins with its own number (ssh). */
  readonly agreed?: number | undefined
  /** Lists of algorithms that the client sends from protocol 30 on, to choose checksum and compression from. */
  readonly choices: number
  /** When the client sends a filter list: always (pull), never, or only from protocol 29 on (`--delete-excluded`). */
  readonly filters: 'always' | 'never' | 'from 29'
  /** Filter rules at most. */
  readonly mostRules: number
}

/** Protocols whose beginning is known. */
const oldest = 27
/** As rsync itself has it: a client may be newer, and then speaks as this machine's rsync does. */
const newestOfClients = 40
export const newestProtocol = 32

const longestChoices = 255
/** Bytes of a rule at most: a path, and what stands before it. */
const longestRule = 4096 + 64

// rsync's io.c: the tag of a message is this and its kind; 0 is data.
const dataTag = 7

const hint = 'use --exclude and --include, and neither merge files nor -F nor -C'

/**
 * Reads the beginning of what an rsync client sends to a server: its protocol, its lists of algorithms, and its filter
 * list (docs/reference/protocols.md: backup, The beginning of the stream). Bytes are let through when they have been
 * judged, and from the end of the filter list on as they come.
 */
export class StreamHead {
  readonly #shape: StreamShape
  readonly #steps: Generator<number, void, Buffer>
  /** What has come and was not let through. */
  #held: Buffer = Buffer.alloc(0)
  /** Of these, how many bytes were read, and how many may be let through. */
  #read = 0
  #judged = 0
  #wanted: number
  #isOver = false
  /** Whether data comes in frames, and how much of the current one is left. */
  #isFramed = false
  #left = 0

  constructor(shape: StreamShape) {
    this.#shape = shape
    this.#steps = this.#parse()
    this.#wanted = 0
    this.#advance(Buffer.alloc(0))
  }

  /** Whether everything has been judged, and all that comes now is let through. */
  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * @returns what may be passed on to rsync now
   * @throws RequestError REFUSED or REQUEST_INVALID; after that nothing may be passed on
   */
  take(chunk: Buffer): Buffer {
    if (this.#isOver) return chunk
    this.#held = Buffer.concat([this.#held, chunk])
    while (!this.#isOver && this.#held.length - this.#read >= this.#wanted) {
      const piece = this.#held.subarray(this.#read, this.#read + this.#wanted)
      this.#read += this.#wanted
      this.#advance(piece)
    }
    const passed = this.#isOver ? this.#held.length : this.#judged
    const out = this.#held.subarray(0, passed)
    this.#held = this.#held.subarray(passed)
    this.#read -= passed
    this.#judged = 0
    return out
  }

  #advance(piece: Buffer): void {
    const { value, done } = this.#steps.next(piece)
    if (done) this.#isOver = true
    else this.#wanted = value
  }

  /** What was read so far is harmless. */
  #pass(): void {
    this.#judged = this.#read
  }

  /** Yields how many bytes it wants next. */
  *#parse(): Generator<number, void, Buffer> {
    const protocol = yield* this.#protocol()
    if (protocol >= 30) {
      for (let nth = 0; nth < this.#shape.choices; nth += 1) yield* this.#choices()
      this.#isFramed = true
    }
    const { filters } = this.#shape
    if (filters === 'always' || (filters === 'from 29' && protocol >= 29)) yield* this.#filters(protocol)
  }

  *#protocol(): Generator<number, number, Buffer> {
    const { agreed, offered } = this.#shape
    const theirs = agreed ?? (yield 4).readInt32LE()
    if (theirs < oldest || theirs > newestOfClients) {
      throw unfit(`rsync's protocol ${theirs} is not supported`, 'update rsync on the laptop')
    }
    this.#pass()
    return Math.min(theirs, offered)
  }

  /** A length of one byte, or of two when the first has its highest bit set; then names of algorithms. */
  *#choices(): Generator<number, void, Buffer> {
    const first = (yield 1).readUInt8()
    const length = first < 0x80 ? first : (first - 0x80) * 0x100 + (yield 1).readUInt8()
    if (length > longestChoices) throw unfit('the list of algorithms is too long')
    if (length > 0) yield length
    this.#pass()
  }

  /** For each rule its length, in four bytes, and its text; then a length of 0. */
  *#filters(protocol: number): Generator<number, void, Buffer> {
    for (let rules = 0; ; rules += 1) {
      const length = (yield* this.#data(4)).readUInt32LE()
      if (length === 0) return
      if (length > longestRule) throw unfit('a filter rule is too long, or the stream is not rsync')
      if (rules >= this.#shape.mostRules) {
        throw unfit(`there are more than ${this.#shape.mostRules} filter rules`, 'use fewer rules')
      }
      const fault = ruleFault(yield* this.#data(length), protocol < 29 ? 'old' : 'new')
      if (fault !== undefined) throw new RequestError('REFUSED', fault, { hint })
      this.#pass()
    }
  }

  /** Bytes of data, out of their frames. */
  *#data(length: number): Generator<number, Buffer, Buffer> {
    if (!this.#isFramed) return yield length
    const pieces: Buffer[] = []
    for (let missing = length; missing > 0; ) {
      if (this.#left === 0) yield* this.#frame()
      const piece = yield Math.min(missing, this.#left)
      pieces.push(piece)
      missing -= piece.length
      this.#left -= piece.length
    }
    return Buffer.concat(pieces)
  }

  /** Four bytes, the length and the tag. Before the end of the filter list a client has nothing to send but data. */
  *#frame(): Generator<number, void, Buffer> {
    const header = (yield 4).readUInt32LE()
    this.#left = header & 0xffffff
    if (header >>> 24 !== dataTag || this.#left === 0)
      throw unfit('the stream is not that of an rsync client')
  }
}

const unfit = (reason: string, next = 'use rsync 2.6.9 or newer'): RequestError =>
  new RequestError('REQUEST_INVALID', `${reason}; the transfer was ended`, { hint: next })
