/**
 * How often something is signed for a laptop that cannot be signed ahead, since it holds a number of the laptop's: each
 * signature costs a line of the audit log, and anybody may ask in any laptop's name.
 */
export class Pace {
  readonly #milliseconds: number
  /** When each serial last had its turn, the longest ago first. */
  readonly #turns = new Map<string, number>()

  constructor(seconds: number) {
    this.#milliseconds = seconds * 1000
  }

  /** Whether a serial may have a turn now, which it then has had. */
  take(serial: string): boolean {
    const now = performance.now()
    for (const [other, at] of this.#turns) {
      if (now - at < this.#milliseconds) break
      this.#turns.delete(other)
    }
    if (this.#turns.has(serial)) return false
    this.#turns.set(serial, now)
    return true
  }
}
