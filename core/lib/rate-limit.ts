import { networkOf } from './client-address.js'

export interface Rate {
  /** Turns at once, after a time without any. */
  readonly burst: number
  readonly perSecond: number
}

const mostClients = 10_000

/** A token bucket for each network address, or for whatever else is counted. */
export class RateLimit {
  readonly #rate: Rate
  readonly #now: () => number
  readonly #buckets = new Map<string, { left: number; at: number }>()

  /** @param now milliseconds */
  constructor(rate: Rate, now: () => number = () => performance.now()) {
    this.#rate = rate
    this.#now = now
  }

  /**
   * @param name an address, which stands for its network (`networkOf`), or any other text
   * @returns whether it has a turn, which it then has had
   */
  take(name: string): boolean {
    const { burst, perSecond } = this.#rate
    const now = this.#now()
    const key = networkOf(name)
    const { left, at } = this.#buckets.get(key) ?? { left: burst, at: now }
    const has = Math.min(burst, left + (Math.max(0, now - at) / 1000) * perSecond)
    // Set anew, so that the map stays in the order of last use and its head can be forgotten.
    this.#buckets.delete(key)
    this.#buckets.set(key, { left: has >= 1 ? has - 1 : has, at: now })
    if (this.#buckets.size > mostClients) this.#buckets.delete(this.#buckets.keys().next().value ?? '')
    return has >= 1
  }
}
