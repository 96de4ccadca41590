/** How a transfer must go on. */
export interface PaceLimits {
  /** Milliseconds in which at least one byte must move, in either direction. */
  readonly idle: number
  /** Milliseconds that every transfer has, however little moves. */
  readonly start: number
  /** Bytes a second that must have moved on average after that. */
  readonly rate: number
  /** Milliseconds for the longest transfer. */
  readonly total: number
}

export type PaceFault = 'idle' | 'slow' | 'late'

/**
 * Says when a transfer has taken too long: it stands still, or has moved less than its time allows. So each transfer
 * has a time that grows with what there is to move.
 */
export class Pace {
  readonly #limits: PaceLimits
  readonly #began: number
  #moved: number
  #movedAt: number

  /**
   * @param now milliseconds of a clock that only goes forward
   * @param moved bytes that have moved already
   */
  constructor(limits: PaceLimits, now: number, moved = 0) {
    this.#limits = limits
    this.#began = now
    this.#moved = moved
    this.#movedAt = now
  }

  /**
   * @param moved bytes that have moved since the beginning, in both directions; undefined when that is unknown, which
   * counts as moving
   * @returns why the transfer must end; undefined when it may go on
   */
  look(now: number, moved: number | undefined): PaceFault | undefined {
    const { idle, start, rate, total } = this.#limits
    if (moved === undefined || moved !== this.#moved) this.#movedAt = now
    if (moved !== undefined) this.#moved = moved
    const elapsed = now - this.#began
    if (elapsed >= total) return 'late'
    if (now - this.#movedAt >= idle) return 'idle'
    return moved !== undefined && elapsed >= start + (moved / rate) * 1000 ? 'slow' : undefined
  }
}
