import { RateLimit } from '../../core/api.js'

const hour = 3600

/**
 * How much one address, or one key, may bring: `most` at once, and a fifth of that again each hour. A school behind one
 * router stays far below; a script that makes up laptops does not fill the disk.
 */
export class Allowance {
  readonly #limit: RateLimit | undefined

  /** @param most 0: no limit */
  constructor(most: number, now: () => number = Date.now) {
    if (most > 0) this.#limit = new RateLimit({ burst: most, perSecond: most / 5 / hour }, now)
  }

  /**
   * @param name an address, or whatever else is counted
   * @returns whether one more is allowed
   */
  take(name: string): boolean {
    return this.#limit?.take(name) ?? true
  }
}
