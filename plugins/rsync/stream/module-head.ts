import { choicesOf, type RsyncVersion, StreamHead, streamOptionsOf } from '../../../core/api.js'
import { ArgumentsReader } from './arguments.js'

/** Filter rules of a client at most: its own files of patterns come as rules. */
const mostRules = 100_000

export interface Agreement {
  /** That both speak, by their greetings. */
  readonly protocol: number
  /** The rsync of this machine. */
  readonly rsync: RsyncVersion
  /** The module's name. */
  readonly module: string
}

/**
 * Judges what a client sends behind the name of its module: arguments, and the beginning of the stream. Arguments go
 * to rsync when all of them have come and none is refused.
 */
export class ModuleHead {
  readonly #agreement: Agreement
  readonly #arguments: ArgumentsReader
  #held: Buffer[] = []
  #head: StreamHead | undefined
  #isJudged = false

  constructor(agreement: Agreement) {
    this.#agreement = agreement
    this.#arguments = new ArgumentsReader(agreement.protocol, agreement.module)
  }

  /** Whether rsync was given its arguments: from then on it has spoken to its client. */
  get isBegun(): boolean {
    return this.#isJudged
  }

  /** @returns what may be passed on @throws RequestError for what is refused */
  take(chunk: Buffer): Buffer {
    if (this.#isJudged) return this.#head?.take(chunk) ?? chunk
    this.#held.push(chunk)
    const end = this.#arguments.read(chunk)
    if (end === undefined) return Buffer.alloc(0)
    this.#isJudged = true
    if (this.#arguments.isPull) this.#head = this.#streamHead()
    const after = chunk.subarray(end)
    const all = Buffer.concat(this.#held)
    this.#held = []
    return Buffer.concat([all.subarray(0, all.length - after.length), this.#head?.take(after) ?? after])
  }

  #streamHead(): StreamHead {
    const { protocol, rsync } = this.#agreement
    const choices = choicesOf(streamOptionsOf(this.#arguments.options), rsync)
    return new StreamHead({ offered: protocol, agreed: protocol, choices, filters: 'always', mostRules })
  }
}
