import { readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asError, makeFolderSync, RequestError, systemCode } from '../../../core/api.js'
import { replaceFile, unfinished } from '../durable.js'
import { isSynchronised } from './synchronised.js'

const minute = 60_000
const day = 24 * 60 * minute
/** What NTP may step a clock back. */
const tolerance = 2 * minute
/** How far a clock may be ahead of all that was seen: a school may have been closed for a year. */
const reach = 366 * day
/** The same for one that has seen nothing yet, from the day the software was made. */
const firstReach = 5 * reach
const betweenNotes = 10 * minute
const ifRight = 'if it is right, say "sugar-server keyring clock --accept"'

export interface GuardSpec {
  /** Where the highest time is kept: `ROOT/keyring/clock.json`. */
  readonly file: string
  /** No clock before this is right. */
  readonly built: Date
  /**
   * When the newest signature was made since the clock was last accepted, ISO 8601: what the audit log says. Asked for
   * each signature.
   */
  readonly newest: () => string | undefined
  /** Whether the system must say that its clock is synchronised. */
  readonly synchronised: boolean
  readonly now?: () => Date
  /** Asked once a minute at most. */
  readonly ask?: () => Promise<boolean>
}

/** What is known of the clock; times in ISO 8601, UTC. */
export interface ClockFacts {
  readonly now: string
  readonly built: string
  /** The highest time that was ever seen and believed. */
  readonly highest?: string
  readonly newest?: string
  /** What the system said last, if it was asked. */
  readonly synchronised?: boolean
  /** Why the highest time could not be kept, if so. */
  readonly unkept?: string
}

interface Kept {
  readonly highest?: string
}

/**
 * Says whether the clock can be believed, before anything is signed: with a wrong one, leases would have run out before
 * they are given, or hold for years. A clock that jumps far ahead is not believed, and leaves no trace.
 */
export class ClockGuard {
  readonly #spec: GuardSpec
  #highest: number | undefined
  /** The newest signature, as it was read last: reading it takes longer than all else. */
  #parsed = { text: '', time: 0 }
  /** What the file says. */
  #noted = 0
  #unkept: string | undefined
  #writing: Promise<void> = Promise.resolve()
  #answer: { until: number; said: Promise<boolean> } | undefined
  #synchronised: boolean | undefined

  private constructor(spec: GuardSpec, kept: Kept) {
    this.#spec = spec
    this.#highest = kept.highest === undefined ? undefined : Date.parse(kept.highest)
    this.#noted = this.#highest ?? 0
  }

  static async open(spec: GuardSpec): Promise<ClockGuard> {
    makeFolderSync(dirname(spec.file))
    await rm(unfinished(spec.file), { force: true })
    return new ClockGuard(spec, await read(spec.file))
  }

  /**
   * The time by which expiries are judged: what the clock says, or, while that cannot be right, the highest time that was
   * seen, and the build date where none was.
   */
  now(): Date {
    const now = this.#clock()
    if (this.#wrong(now.getTime()) === undefined) return now
    return new Date(Math.max(this.#seen(), this.#spec.built.getTime()))
  }

  /** Why nothing may be signed now, if so. Cheap: asked for each signature. */
  async obstacle(): Promise<string | undefined> {
    const wrong = this.#wrong(this.#clock().getTime())
    if (wrong !== undefined || !this.#spec.synchronised || (await this.#isSynchronised())) return wrong
    return 'the system does not say that its clock is synchronised, which keyring-synchronised asks for'
  }

  /**
   * Notes a time at which something was signed, or the server was running. One that is not to be believed is not noted.
   * Never fails: what could not be kept is tried again, and told in facts().
   */
  async saw(at: Date): Promise<void> {
    const time = at.getTime()
    if (time <= (this.#highest ?? 0) || this.#wrong(time) !== undefined) return
    this.#highest = time
    if (time - this.#noted < betweenNotes && this.#unkept === undefined) return
    this.#noted = time
    await this.#keep().catch(() => undefined)
  }

  /**
   * The operator says that the clock is right now, whatever was seen before. The audit log must be told, too, for it
   * says when the newest signature was made.
   * @returns when that is kept; @throws RequestError REFUSED for a time that cannot be, SystemError NO_SPACE
   */
  async accept(): Promise<void> {
    const now = this.#clock()
    if (now < this.#spec.built) {
      throw new RequestError('REFUSED', `${this.#tooEarly(now.getTime())}: it cannot be right`, {
        hint: 'set the clock',
      })
    }
    const before = this.#highest
    this.#highest = now.getTime()
    this.#noted = this.#highest
    try {
      await this.#keep()
    } catch (error) {
      this.#highest = before
      throw error
    }
  }

  facts(): ClockFacts {
    const newest = this.#spec.newest()
    const highest = this.#seen()
    return {
      now: this.#clock().toISOString(),
      built: this.#spec.built.toISOString(),
      ...(highest > 0 && { highest: new Date(highest).toISOString() }),
      ...(newest !== undefined && { newest }),
      ...(this.#synchronised !== undefined && { synchronised: this.#synchronised }),
      ...(this.#unkept !== undefined && { unkept: this.#unkept }),
    }
  }

  /** What the clock says, right or wrong. */
  #clock(): Date {
    return this.#spec.now?.() ?? new Date()
  }

  /** What is wrong with a time by itself. */
  #wrong(time: number): string | undefined {
    if (time < this.#spec.built.getTime()) return this.#tooEarly(time)
    const newest = this.#newest()
    if (time < newest - tolerance)
      return `the clock says ${text(time)}, but something was signed at ${text(newest)} already; ${ifRight}`
    const seen = this.#seen()
    if (time > (seen > 0 ? seen + reach : this.#spec.built.getTime() + firstReach)) {
      const since =
        seen > 0 ? `it last said ${text(seen)}` : `this software was made ${text(this.#spec.built.getTime())}`
      return `the clock says ${text(time)}, and ${since}; ${ifRight}`
    }
    return undefined
  }

  #tooEarly(time: number): string {
    return `the clock says ${text(time)}, which is before this software was made (${text(this.#spec.built.getTime())})`
  }

  /** When the newest signature was made that counts; 0 for none. */
  #newest(): number {
    const newest = this.#spec.newest()
    if (newest === undefined) return 0
    if (newest !== this.#parsed.text) this.#parsed = { text: newest, time: Date.parse(newest) }
    return this.#parsed.time
  }

  /** The highest time that was seen: signatures are seen, too. 0 for none. */
  #seen(): number {
    return Math.max(this.#highest ?? 0, this.#newest())
  }

  async #isSynchronised(): Promise<boolean> {
    // By a clock that cannot be set.
    if (this.#answer === undefined || performance.now() > this.#answer.until) {
      const said = (this.#spec.ask ?? isSynchronised)()
      this.#answer = { until: performance.now() + minute, said }
    }
    this.#synchronised = await this.#answer.said
    return this.#synchronised
  }

  #keep(): Promise<void> {
    const write = async () => {
      const kept: Kept = this.#highest === undefined ? {} : { highest: new Date(this.#highest).toISOString() }
      try {
        await replaceFile(this.#spec.file, `${JSON.stringify(kept)}\n`)
        this.#unkept = undefined
      } catch (error) {
        this.#unkept = asError(error).message
        throw error
      }
    }
    const writing = this.#writing.then(write)
    this.#writing = writing.catch(() => undefined)
    return writing
  }
}

/** A file that cannot be read counts as none: what the audit log knows is still there. */
async function read(file: string): Promise<Kept> {
  try {
    const { highest } = JSON.parse((await readFile(file, 'utf8')).slice(0, 1000)) as Kept
    return isTime(highest) ? { highest } : {}
  } catch (error) {
    if (systemCode(error) === undefined || systemCode(error) === 'ENOENT') return {}
    throw error
  }
}

const isTime = (value: unknown): value is string =>
  typeof value === 'string' && value.length === 24 && !Number.isNaN(Date.parse(value))

const text = (time: number): string =>
  Math.abs(time) > 8.64e15 ? 'no time' : new Date(time).toISOString().slice(0, 16).replace('T', ' ')
