/** How much is signed at most. */
export interface Limits {
  /** Turns of one serial in so many `seconds`. */
  readonly each: number
  readonly seconds: number
  /** Turns of all together at once, when nobody had any for a while. */
  readonly burst: number
  /** Turns of all together a second, from then on. */
  readonly perSecond: number
}

interface Turns {
  /** When the first of them was, in milliseconds. */
  readonly since: number
  count: number
}

/**
 * How often something is signed that cannot be signed ahead, since it holds a number of the laptop's: each signature
 * costs a line of the audit log, and anybody may ask in any laptop's name. A laptop has several turns, so that a
 * stranger does not use up its only one, and all of them together have so many that a school which comes at once is
 * served; what comes in a flood of made-up serials is not.
 */
export class Pace {
  readonly #limits: Limits
  readonly #now: () => number
  /** Turns by serial, the longest ago first: no more than the bound over all lets in. */
  readonly #turns = new Map<string, Turns>()
  #left: number
  /** When `#left` was counted. */
  #counted: number

  /** @param now milliseconds, of a clock that cannot be set */
  constructor(limits: Limits, now = () => performance.now()) {
    this.#limits = limits
    this.#now = now
    this.#left = limits.burst
    this.#counted = now()
  }

  /** Whether a serial may have a turn now, which it then has had. */
  take(serial: string): boolean {
    const { each, seconds, burst, perSecond } = this.#limits
    const now = this.#now()
    for (const [other, { since }] of this.#turns) {
      if (now - since < seconds * 1000) break
      this.#turns.delete(other)
    }
    this.#left = Math.min(burst, this.#left + ((now - this.#counted) * perSecond) / 1000)
    this.#counted = now
    const turns = this.#turns.get(serial)
    if (this.#left < 1 || (turns?.count ?? 0) >= each) return false
    this.#left -= 1
    if (turns === undefined) this.#turns.set(serial, { since: now, count: 1 })
    else turns.count += 1
    return true
  }
}
