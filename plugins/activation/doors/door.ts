import { createServer, type Server, type Socket } from 'node:net'
import {
  type Awaitable,
  asError,
  ConnectionLimit,
  type Logger,
  shareOfDescriptors,
} from '../../../core/api.js'
import { longest, type Request, readRequest } from './request.js'

/** Milliseconds. */
export interface Times {
  /** Until a request must be complete. */
  readonly request: number
  /** Until a connection is closed, whatever its other end does. */
  readonly connection: number
  /** Of silence, after which a reset of the clock without a line end is complete. */
  readonly pause: number
  /** Until those who have not asked yet are closed when the server stops. */
  readonly farewell: number
}

const usual: Times = { request: 5_000, connection: 15_000, pause: 300, farewell: 1_000 }

/** Connections at a time: twice the largest school. */
const mostPlaces = 2_000

interface Caller {
  /** `performance.now()` */
  readonly since: number
  bytes: number
  text: string
  state: 'asking' | 'deciding' | 'answered'
}

/**
 * The TCP port that laptops ask at boot. They read to the end of the connection without a time limit of their own, so
 * it is closed on every path: after the answer, on nonsense, and when its time is over.
 * Source: docs/reference/protocols.md: Anti-theft, Over TCP.
 */
export class Door {
  readonly server: Server
  readonly #answer: (request: Request) => Awaitable<string>
  readonly #log: Logger
  readonly #times: Times
  readonly #limit: ConnectionLimit<Socket>
  /** In the order in which they came. */
  readonly #callers = new Map<Socket, Caller>()

  /** @param answer the text of an answer, to the byte; empty: nothing */
  constructor(
    answer: (request: Request) => Awaitable<string>,
    log: Logger,
    {
      times = usual,
      most = shareOfDescriptors(1 / 4, mostPlaces),
    }: { readonly times?: Times; readonly most?: number } = {},
  ) {
    this.#answer = answer
    this.#log = log
    this.#times = times
    this.#limit = new ConnectionLimit({
      ...{ what: 'activation', most, log },
      // A laptop that waits for its answer at this moment does not give way.
      standing: (socket) => (this.#callers.get(socket)?.state === 'deciding' ? 'busy' : 'idle'),
    })
    this.server = createServer({ allowHalfOpen: true, noDelay: true })
    const door = this
    // One function for all connections: at thousands a second a closure for each is felt.
    function heard(this: Socket, chunk: Buffer) {
      door.#hear(this, chunk)
    }
    function ended(this: Socket) {
      door.#consider(this, true)
    }
    function closed(this: Socket) {
      door.#callers.delete(this)
      door.#limit.delete(this)
    }
    this.server.on('connection', (socket) => {
      if (!this.#limit.add(socket)) return
      this.#callers.set(socket, { since: performance.now(), bytes: 0, text: '', state: 'asking' })
      socket.on('data', heard).on('end', ended).on('close', closed).on('error', ignored)
    })
  }

  /** Closes those whose time is over. To be called each second: no connection has a timer of its own. */
  sweep(): void {
    const now = performance.now()
    for (const [socket, { since, state }] of this.#callers) {
      if (now - since < this.#times.request) break
      if (state === 'asking' || now - since >= this.#times.connection) socket.destroy()
    }
  }

  /** After the server was closed: whoever has asked gets an answer, the others have a moment to ask. */
  async drain(): Promise<void> {
    const began = performance.now()
    while (this.#callers.size > 0) {
      const isOver = performance.now() - began >= this.#times.farewell
      for (const [socket, { state }] of this.#callers)
        if (state === 'answered' ? socket.writableFinished : state === 'asking' && isOver) socket.destroy()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Closes every connection. */
  close(): void {
    for (const socket of this.#callers.keys()) socket.destroy()
  }

  get size(): number {
    return this.#limit.count
  }

  #hear(socket: Socket, chunk: Buffer): void {
    const caller = this.#callers.get(socket)
    if (caller === undefined) return
    caller.bytes += chunk.length
    if (caller.bytes > longest) {
      socket.destroy()
      return
    }
    if (caller.state !== 'asking') return
    caller.text += chunk.toString('latin1')
    this.#consider(socket, false)
  }

  #consider(socket: Socket, isOver: boolean): void {
    const caller = this.#callers.get(socket)
    if (caller === undefined || caller.state !== 'asking') return
    const request = readRequest(caller.text, isOver)
    if (request === 'incomplete') return
    if (request === 'pausing') {
      socket.removeAllListeners('timeout').setTimeout(this.#times.pause, () => this.#consider(socket, true))
      return
    }
    if (request === 'garbage') {
      this.#end(socket, caller, '')
      return
    }
    caller.state = 'deciding'
    const failed = (error: unknown) => {
      this.#log.error({ err: asError(error) }, 'a laptop got no answer')
      this.#end(socket, caller, '')
    }
    try {
      const answer = this.#answer(request)
      if (typeof answer === 'string') this.#end(socket, caller, answer)
      else answer.then((text) => this.#end(socket, caller, text), failed)
    } catch (error) {
      failed(error)
    }
  }

  #end(socket: Socket, caller: Caller, text: string): void {
    caller.state = 'answered'
    caller.text = ''
    if (text === '') socket.end()
    else socket.end(text, 'latin1')
  }
}

/** A connection that breaks has no need of an answer. */
const ignored = (): void => undefined
