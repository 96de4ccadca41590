import Router from 'koa-router'
import type { Logger } from 'pino'
import type { Settings } from '../config/settings.js'
import { asError } from '../errors.js'
import { Listener } from './listener.js'

export interface ListenerStatus {
  name: string
  host: string
  port: number
}

/** Plugins that lose a listener, and why. The house itself goes by the name `core`. */
export interface ListenerFailure {
  plugins: ReadonlySet<string>
  error: Error
}

/** All listeners of the house: one for each port, whoever asks for it. */
export class Listeners {
  readonly #settings: Settings
  readonly #log: Logger
  readonly #listeners: Listener[] = []
  readonly #byPort = new Map<string, Listener>()

  constructor(settings: Settings, log: Logger) {
    this.#settings = settings
    this.#log = log
  }

  /** A router on the port that an option holds. Two options with the same port share a listener. */
  router(plugin: string, option: string): Router {
    const host = String(this.#settings.get('host'))
    const port = Number(this.#settings.get(option))
    const name = option.replace(/-port$/, '')
    // Port 0 is another free one for each option.
    const place = port === 0 ? option : String(port)
    let listener = this.#byPort.get(place)
    if (listener === undefined) {
      listener = new Listener(host, port, this.#log)
      this.#byPort.set(place, listener)
      this.#listeners.push(listener)
    }
    if (!listener.names.includes(name)) listener.names.push(name)
    const router = new Router()
    listener.use(plugin, router)
    return router
  }

  /** Takes a plugin's routes away from every listener. */
  release(plugin: string): void {
    for (const listener of this.#listeners) listener.release(plugin)
  }

  /** Binds all sockets. @returns those that could not be */
  async open(): Promise<ListenerFailure[]> {
    const failures: ListenerFailure[] = []
    for (const listener of [...this.#listeners]) {
      if (listener.plugins.size === 0) continue
      try {
        const option = `${listener.names[0]}-port`
        await listener.open(this.#settings.describe(option))
      } catch (error) {
        this.#listeners.splice(this.#listeners.indexOf(listener), 1)
        failures.push({ plugins: new Set(listener.plugins), error: asError(error) })
      }
    }
    return failures
  }

  async drain(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.drain(signal)))
  }

  status(): ListenerStatus[] {
    const bound = this.#listeners.filter((listener) => listener.plugins.size > 0)
    return bound.flatMap((listener) => listener.names.map((name) => ({ name, ...listener.address })))
  }
}
