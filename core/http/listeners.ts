import Router from 'koa-router'
import type { Logger } from 'pino'
import type { Settings } from '../config/settings.js'
import { asError } from '../errors.js'
import type { Bindable } from './bind.js'
import { Connections } from './connections.js'
import { type Door, ServerDoor } from './door.js'
import { Listener, times } from './listener.js'

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

/** The option `host` where nobody said otherwise. */
const anyIpv4 = '0.0.0.0'

/** All doors of the house: one for each port, whoever asks for it. */
export class Listeners {
  readonly #settings: Settings
  readonly #log: Logger
  readonly #lacks: () => boolean
  readonly #doors: Door[] = []
  readonly #connections: Connections
  readonly #byPort = new Map<string, Listener>()

  /** @param lacks whether a plugin waits for its disk: unknown addresses may be its */
  constructor(settings: Settings, log: Logger, lacks: () => boolean = () => false) {
    this.#settings = settings
    this.#log = log
    this.#lacks = lacks
    this.#connections = new Connections(log)
  }

  /** A router on the port that an option holds. Two options with the same port share a listener. */
  router(plugin: string, option: string): Router {
    const port = this.#portOf(option)
    // Port 0 is another free one for each option.
    const place = port === 0 ? option : String(port)
    let listener = this.#byPort.get(place)
    if (listener === undefined) {
      listener = new Listener(this.#host, port, this.#log, times, this.#connections, this.#lacks)
      this.#byPort.set(place, listener)
      this.#doors.push(listener)
    }
    if (!listener.options.includes(option)) listener.options.push(option)
    const router = new Router()
    listener.use(plugin, router)
    return router
  }

  /** Has a plugin's own server bound to the port that an option holds. @param reach as Context.listen() says */
  server(plugin: string, option: string, server: Bindable, reach: { ipv6?: boolean } = {}): void {
    const host = reach.ipv6 === true && this.#host === anyIpv4 ? undefined : this.#host
    this.#doors.push(new ServerDoor(plugin, option, server, host, this.#portOf(option)))
  }

  /** Takes a plugin's routes away from every listener, and closes its own servers. */
  release(plugin: string): void {
    for (const door of this.#doors) if (door.plugins.has(plugin)) door.release(plugin)
  }

  /** Binds all sockets. @returns those that could not be */
  async open(): Promise<ListenerFailure[]> {
    const failures: ListenerFailure[] = []
    for (const door of [...this.#doors]) {
      if (door.plugins.size === 0) continue
      try {
        await door.open(this.#settings.describe(door.options[0] ?? ''))
      } catch (error) {
        this.#doors.splice(this.#doors.indexOf(door), 1)
        failures.push({ plugins: new Set(door.plugins), error: asError(error) })
      }
    }
    return failures
  }

  async drain(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#doors.map((door) => door.drain(signal)))
  }

  /** A listener goes by the name of its option, without `-port`. */
  status(): ListenerStatus[] {
    const open = this.#doors.filter((door) => door.plugins.size > 0)
    return open.flatMap(({ options, address }) =>
      options.map((option) => ({ name: option.replace(/-port$/, ''), ...address })),
    )
  }

  /** The port that an option's listener got; what the option says while it is not bound. */
  boundPort(option: string): number {
    const door = this.#doors.find(({ options }) => options.includes(option))
    return door?.address?.port ?? this.#portOf(option)
  }

  get #host(): string {
    return String(this.#settings.get('host'))
  }

  #portOf(option: string): number {
    return Number(this.#settings.get(option))
  }
}
