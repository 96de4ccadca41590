/** Work that comes one after the other, where it is about the same. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Whether somebody has the turn. */
  has(name: string): boolean {
    return this.#last.has(name)
  }

  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const mine = Promise.resolve(before)
      .catch(() => undefined)
      .then(work)
    this.#last.set(name, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(name) === mine) this.#last.delete(name)
    }
  }

  /** Waits until nobody has a turn. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#last.values())
  }
}
