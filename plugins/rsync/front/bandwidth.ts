import { Transform } from 'node:stream'

/** Seconds of allowance that nobody used and that still count. */
const burst = 0.1
/** Bytes that are let through at a time, so that those who share take short turns. */
const piece = 16_384

/**
 * So many bytes a second for all transfers together. Those who have something to send take turns, a piece each; who
 * has nothing, or a slow line, leaves his share to the others, which a limit of rsync's own for each would not.
 */
export class Bandwidth {
  readonly #rate: number
  /** When all that was let through so far will have been paid for, in milliseconds of `performance.now()`. */
  #paid = 0

  /** @param rate bytes a second */
  constructor(rate: number) {
    this.#rate = rate
  }

  /** A stream that lets through what it is its turn for. */
  lane(): Transform {
    let timer: NodeJS.Timeout | undefined
    const pass = (chunk: Buffer, at: number, lane: Transform, done: () => void) => {
      const next = chunk.subarray(at, at + piece)
      timer = setTimeout(() => {
        lane.push(next)
        if (at + piece < chunk.length) pass(chunk, at + piece, lane, done)
        else done()
      }, this.#turn(next.length))
    }
    return new Transform({
      transform(chunk: Buffer, _, done) {
        pass(chunk, 0, this, done)
      },
      destroy(error, done) {
        clearTimeout(timer)
        done(error)
      },
    })
  }

  /** @returns milliseconds to wait */
  #turn(bytes: number): number {
    const now = performance.now()
    this.#paid = Math.max(this.#paid, now - burst * 1000)
    const wait = this.#paid - now
    this.#paid += (bytes / this.#rate) * 1000
    return Math.max(0, wait)
  }
}
