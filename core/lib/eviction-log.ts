import type { Logger } from '../log/log.js'

/** Milliseconds from the first connection that gave way to the line that says so, and between two such lines. */
const [soon, between] = [1_000, 60_000]

/** Tells the operator, at most once a minute, that connections had to give way. */
export class EvictionLog {
  readonly #what: string
  readonly #log: Pick<Logger, 'warn'> | undefined
  #count = 0
  #network = ''
  #timer: NodeJS.Timeout | undefined

  /** @param what is full: "all 256 connections of ssh" */
  constructor(what: string, log: Pick<Logger, 'warn'> | undefined) {
    this.#what = what
    this.#log = log
  }

  /** @param network whose connection gave way, or was refused */
  note(network: string): void {
    this.#count += 1
    this.#network = network
    if (this.#log !== undefined) this.#timer ??= setTimeout(() => this.#tell(), soon).unref()
  }

  #tell(): void {
    this.#timer = undefined
    if (this.#count === 0) return
    const facts = { network: this.#network, connections: this.#count }
    this.#log?.warn(facts, `${this.#what} were taken: ${this.#count} had to give way`)
    this.#count = 0
    this.#timer = setTimeout(() => this.#tell(), between).unref()
  }
}
