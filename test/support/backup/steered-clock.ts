import type { Clock } from '../../../plugins/backup/admission/clock.js'

/** A clock that stands still until a test moves it. */
export class SteeredClock implements Clock {
  #now = 1000
  readonly #began: number
  /** The next one last. */
  readonly #timers: { at: number; work: () => void }[] = []

  /** @param began the date at first, milliseconds since 1970 */
  constructor(began = Date.UTC(2026, 8, 1)) {
    this.#began = began
  }

  now(): number {
    return this.#now
  }

  date(): number {
    return this.#began + this.#now
  }

  later(ms: number, work: () => void): () => void {
    const timer = { at: this.#now + ms, work }
    this.#timers.splice(this.#placeOf(timer.at), 0, timer)
    return () => {
      const place = this.#timers.indexOf(timer)
      if (place >= 0) this.#timers.splice(place, 1)
    }
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.length
  }

  /** Moves on, does what falls due on the way in its order, and lets promises settle. */
  async advance(seconds: number): Promise<void> {
    const until = this.#now + seconds * 1000
    for (let next = this.#timers.at(-1); next !== undefined && next.at <= until; next = this.#timers.at(-1)) {
      this.#timers.pop()
      this.#now = Math.max(this.#now, next.at)
      next.work()
      await settle()
    }
    this.#now = until
    await settle()
  }

  /** Where a new timer belongs: after those that are later, before those that are set for the same time. */
  #placeOf(at: number): number {
    let low = 0
    let high = this.#timers.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#timers[middle]?.at ?? 0) > at) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Lets promises settle. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
