import { timeText } from './day.js'

/** A day on which this code was there already: the keyring's `built`, which is moved on with each release, and this with it. */
export const made = new Date('2026-11-20T00:00:00Z')

/** How far a clock may be ahead of all that was noted: a school may have been closed for a year. */
const reach = 366 * 86_400_000

/**
 * The time by which leases are judged where no keyring guards it. A clock that cannot be right would have every ready
 * lease run out, or none; the laptops go by their own.
 */
export class Clock {
  readonly #latest: () => number
  readonly #system: () => Date

  /** @param latest when a laptop last asked, in milliseconds since the epoch; 0 where none ever did */
  constructor(latest: () => number, system = () => new Date()) {
    this.#latest = latest
    this.#system = system
  }

  /** What the system's clock says, or, while that cannot be right, the last time that was noted. */
  now(): Date {
    const now = this.#system()
    return this.#wrong(now.getTime()) === undefined ? now : this.#believed
  }

  /** What is wrong with the system's clock, if anything. */
  fault(): string | undefined {
    const now = this.#system()
    const wrong = this.#wrong(now.getTime())
    if (wrong === undefined) return undefined
    return `the clock says ${timeText(now)}, ${wrong}: leases are judged by ${timeText(this.#believed)}; set it, or, if it is right, turn the plugin keyring on until a laptop has asked`
  }

  get #believed(): Date {
    return new Date(Math.max(this.#latest(), made.getTime()))
  }

  #wrong(time: number): string | undefined {
    if (time < made.getTime()) return 'which is before this software was made'
    const latest = this.#latest()
    // What was noted by a clock that was too early says nothing.
    if (latest < made.getTime() || time <= latest + reach) return undefined
    return 'more than a year after a laptop last asked'
  }
}
