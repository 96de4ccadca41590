import { createServer, type Server } from 'node:http'
import Koa, { type Middleware } from 'koa'
import type Router from 'koa-router'
import type { Logger } from 'pino'
import { bind, portOf } from './bind.js'
import { Connections } from './connections.js'
import type { Door } from './door.js'
import { edge } from './edge.js'
import { Pipelines } from './pipelines.js'

/** Milliseconds. Node's own limits (60 s for headers, 300 s for a request) let a classroom be locked out. */
export const times = { headers: 10_000, request: 20_000, keepAlive: 5_000, idle: 60_000, check: 1_000 }

/** A door behind which HTTP is spoken, with all routers that share it. */
export class Listener implements Door {
  readonly options: string[] = []
  readonly #plugins = new Set<string>()
  readonly #app = new Koa()
  readonly #server: Server
  readonly #connections: Connections
  readonly #host: string
  readonly #port: number
  #draining = false

  constructor(
    host: string,
    port: number,
    log: Logger,
    limits = times,
    connections = new Connections(log),
    lacks = () => false,
  ) {
    this.#host = host
    this.#port = port
    this.#app.use(edge(log, () => this.#draining, lacks))
    // edge() has answered every error by then; what is left is a socket that died under the answer.
    this.#app.on('error', (error) => log.debug({ err: error }, 'an answer could not be sent'))
    this.#server = createServer({
      headersTimeout: limits.headers,
      requestTimeout: limits.request,
      keepAliveTimeout: limits.keepAlive,
      connectionsCheckingInterval: limits.check,
      noDelay: true,
    })
    this.#server.timeout = limits.idle
    this.#connections = connections
    connections.watch(this.#server)
  }

  /** Adds a plugin's router. */
  use(plugin: string, router: Router): void {
    this.#plugins.add(plugin)
    const routes = router.routes() as Middleware
    const allowedMethods = router.allowedMethods() as Middleware
    this.#app.use(async (ctx, next) => {
      // koa cannot take a middleware out again: one whose plugin has gone is passed over.
      if (!this.#plugins.has(plugin)) return next()
      try {
        return await routes(ctx, () => allowedMethods(ctx, next))
      } catch (error) {
        ctx.state.plugin ??= plugin
        throw error
      }
    })
  }

  /** The plugins that have routes here. */
  get plugins(): ReadonlySet<string> {
    return this.#plugins
  }

  /** Takes a plugin's routes away. */
  release(plugin: string): void {
    this.#plugins.delete(plugin)
  }

  get address(): { host: string; port: number } {
    return { host: this.#host, port: portOf(this.#server, this.#port) }
  }

  /** @throws SystemError PORT_BUSY, PORT_REFUSED */
  async open(setting: string): Promise<void> {
    new Pipelines(this.#app.callback()).watch(this.#server)
    await bind(this.#server, this.#host, this.#port, setting)
  }

  /** Refuses new work and waits for what is under way. @param signal gives up waiting */
  async drain(signal: AbortSignal): Promise<void> {
    this.#draining = true
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    const closeIdle = () => {
      this.#server.closeIdleConnections()
      this.#connections.destroySilent()
    }
    const idle = setInterval(closeIdle, 20)
    const giveUp = () => this.#connections.destroyAll()
    signal.addEventListener('abort', giveUp, { once: true })
    if (signal.aborted) giveUp()
    closeIdle()
    await closed
    clearInterval(idle)
    signal.removeEventListener('abort', giveUp)
  }
}
