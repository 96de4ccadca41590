import { RequestError, shareOfDescriptors } from '../../../core/api.js'
import type { Registry } from '../modules/registry.js'
import type { Module } from '../public.js'
import type { Client } from './client.js'
import { Seats } from './seats.js'

/** Those held take nothing but a socket; a whole school may wait behind one router. */
const most = shareOfDescriptors(1 / 4, 1024)
/** Milliseconds that anybody is held at most, whatever who makes the module thinks of it. */
const longest = 3_700_000

/** One who is held for a module that is being made. */
export interface Held {
  readonly address: string
  readonly module: string
  readonly since: Date
}

/** Clients who wait, in silence, for modules that are being made. */
export class Holds {
  readonly #registry: Registry
  readonly #seats = new Seats(most, Math.ceil(most / 2))
  readonly #held = new Map<AbortController, Held>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  list(): readonly Held[] {
    return [...this.#held.values()]
  }

  /** Sends all of them away. */
  end(reason: RequestError): void {
    for (const held of this.#held.keys()) held.abort(reason)
  }

  /**
   * Asks those who make modules.
   * @returns undefined when nobody knows it
   * @throws RequestError why it is not to be had; whatever, when the client has hung up
   */
  async wait(name: string, { address, gone }: Client): Promise<Module | undefined> {
    if (!this.#registry.isProvided(name)) return undefined
    const leave = this.#seats.take(address)
    if (typeof leave === 'number') throw tooMany()
    const held = new AbortController()
    const { signal } = held
    const end = () => held.abort()
    const timer = setTimeout(() => held.abort(notYet(name)), longest)
    gone.addEventListener('abort', end, { once: true })
    this.#held.set(held, { address, module: name, since: new Date() })
    try {
      if (gone.aborted) end()
      return await Promise.race([this.#registry.make(name, { address, signal }), aborted(signal)])
    } finally {
      clearTimeout(timer)
      gone.removeEventListener('abort', end)
      this.#held.delete(held)
      leave()
    }
  }
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(signal.reason)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })

const tooMany = (): RequestError =>
  new RequestError('UNAVAILABLE', 'too many wait for builds already -- try again later')
const notYet = (name: string): RequestError =>
  new RequestError('UNAVAILABLE', `module '${name}' is not here yet -- try again later`)
