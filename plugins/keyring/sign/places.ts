import { RequestError } from '../../../core/api.js'

/** Lets so many work at a time and so many wait, first come, first served. */
export class Places {
  readonly #most: number
  readonly #waiting: (() => void)[] = []
  #free: number

  /** @param most how many may wait */
  constructor(places: number, most: number) {
    this.#free = places
    this.#most = most
  }

  /**
   * Works when there is a place.
   * @throws RequestError UNAVAILABLE when too many wait already
   */
  async within<R>(work: () => Promise<R>): Promise<R> {
    if (this.#free > 0) this.#free -= 1
    else await this.#wait()
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // A place goes from hand to hand, so that nobody who has just come slips in between.
      if (next === undefined) this.#free += 1
      else next()
    }
  }

  async #wait(): Promise<void> {
    if (this.#waiting.length >= this.#most) {
      throw new RequestError('UNAVAILABLE', `${this.#most} signatures are waited for already`, {
        hint: 'try again in a few seconds',
      })
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
