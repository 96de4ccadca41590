const shortest = 10
const longest = 3600
const remembered = 32

/** How fast the queue moves, and so when each in it should come back. */
export class Pace {
  readonly #slots: number
  readonly #random: () => number
  /** Seconds that the last transfers took, oldest first. */
  readonly #taken: number[] = []

  /** @param random from 0 to below 1 */
  constructor(slots: number, random: () => number) {
    this.#slots = slots
    this.#random = random
  }

  /** A transfer went well. @param ms how long it had its slot */
  took(ms: number): void {
    this.#taken.push(Math.min(longest, Math.max(1, ms / 1000)))
    if (this.#taken.length > remembered) this.#taken.shift()
  }

  /** Seconds of a usual transfer; the median, since one laptop on bad Wi-Fi must not slow down all others. */
  get usual(): number {
    const sorted = this.#taken.toSorted((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? 60
  }

  /**
   * When to come back, with a good deal of chance in it so that a classroom does not come back as one herd.
   * @param place how many come before
   * @returns whole seconds, 10 to 3600
   */
  retryAfter(place: number): number {
    const turn = ((place + 1) * this.usual) / this.#slots
    if (turn < 2 * shortest) return this.between(shortest, 3 * shortest)
    return turn * 1.3 > longest ? this.late() : this.between(turn * 0.7, turn * 1.3)
  }

  /** Some time in the second half of the next hour. */
  late(): number {
    return this.between(longest / 2, longest)
  }

  /** @returns whole seconds, the first included and the last not */
  between(from: number, to: number): number {
    return Math.floor(from + this.#random() * (to - from))
  }
}
