import { type Clock, systemClock } from './clock.js'

const knownFor = 2000
const patience = 5000

/**
 * What is wrong with the room for backups, asked once for all laptops that come at the same time. A disk that no
 * longer answers holds up one question, and no laptop longer than 5 s.
 */
export class Room {
  readonly #ask: () => Promise<string | undefined>
  readonly #clock: Clock
  readonly #lasts: number
  #answer: Promise<string | undefined> | undefined
  #knownUntil = Number.POSITIVE_INFINITY

  /** @param lasts milliseconds for which an answer holds; 0: only for those who ask meanwhile */
  constructor(ask: () => Promise<string | undefined>, clock: Clock = systemClock, lasts = knownFor) {
    this.#ask = ask
    this.#lasts = lasts
    this.#clock = clock
  }

  /** @returns a sentence for operators; undefined when there is room. Never rejects. */
  lacks(): Promise<string | undefined> {
    if (this.#answer === undefined || this.#clock.now() >= this.#knownUntil) {
      this.#knownUntil = Number.POSITIVE_INFINITY
      this.#answer = this.#asked()
    }
    const answer = this.#answer
    return new Promise((resolve) => {
      const cancel = this.#clock.later(patience, () => resolve('the disk does not answer: look after it'))
      answer.then((text) => {
        cancel()
        resolve(text)
      })
    })
  }

  async #asked(): Promise<string | undefined> {
    try {
      return await this.#ask()
    } catch (error) {
      return `the room on the disk is not known: ${error instanceof Error ? error.message : error}`
    } finally {
      this.#knownUntil = this.#clock.now() + this.#lasts
    }
  }
}
