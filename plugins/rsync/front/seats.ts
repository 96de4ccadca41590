import { networkOf } from '../../../core/api.js'

/** A bounded number of places, and of these so many at most for one network address. */
export class Seats {
  readonly #all: number
  readonly #each: number
  readonly #taken = new Map<string, number>()
  #count = 0

  constructor(all: number, each: number) {
    this.#all = all
    this.#each = each
  }

  get count(): number {
    return this.#count
  }

  /** @returns a function that gives it back; or, when there is none, the limit that was reached */
  take(address: string): (() => void) | number {
    const key = networkOf(address)
    const others = this.#taken.get(key) ?? 0
    if (this.#count >= this.#all) return this.#all
    if (others >= this.#each) return this.#each
    this.#count += 1
    this.#taken.set(key, others + 1)
    let isTaken = true
    return () => {
      if (isTaken) this.#giveBack(key)
      isTaken = false
    }
  }

  #giveBack(key: string): void {
    this.#count -= 1
    const others = (this.#taken.get(key) ?? 0) - 1
    if (others > 0) this.#taken.set(key, others)
    else this.#taken.delete(key)
  }
}
