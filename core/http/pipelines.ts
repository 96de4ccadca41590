import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Bytes that are parsed at a time: one or two requests as laptops send them, and a few dozen of the smallest. */
const slice = 1024
/** Connections with more requests than one that have their turn in each round of the event loop. */
const turnsEachRound = 4

/** One connection: what it has sent and is not answered yet. */
interface Pipeline {
  readonly socket: Socket
  /** Has node parse some bytes. */
  readonly parse: (bytes: Buffer) => void
  /** In the order in which they came. The first is being answered, or waits for its turn. */
  readonly requests: { readonly request: IncomingMessage; readonly response: ServerResponse }[]
  /** Received, and not parsed yet. */
  unparsed: Buffer | undefined
  isPaused: boolean
}

/**
 * Answers the requests of one connection one by one. A client may send thousands without waiting (RFC 9112, 9.3.2), and
 * node would parse and begin all of them before it hears another client. Here the first is answered at once; each
 * further one waits until the one before is answered, and then for its turn among all such connections. Meanwhile the
 * connection is not read.
 */
export class Pipelines {
  readonly #handle: RequestListener
  readonly #bySocket = new WeakMap<Socket, Pipeline>()
  #waiting: Pipeline[] = []

  constructor(handle: RequestListener) {
    this.#handle = handle
  }

  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#open(socket))
    server.on('request', (request, response) => this.#take(request, response))
  }

  /** Puts itself between the socket and node's parser, which listens for `data` like anybody else. */
  #open(socket: Socket): void {
    const [parse, ...others] = socket.listeners('data') as ((bytes: Buffer) => void)[]
    if (parse === undefined || others.length > 0) return
    const pipeline: Pipeline = {
      ...{ socket, requests: [], unparsed: undefined, isPaused: false },
      parse: (bytes) => parse.call(socket, bytes),
    }
    this.#bySocket.set(socket, pipeline)
    socket.removeListener('data', parse)
    socket.on('data', (bytes: Buffer) => {
      const { unparsed } = pipeline
      pipeline.unparsed = unparsed === undefined ? bytes : Buffer.concat([unparsed, bytes])
      this.#parse(pipeline)
    })
  }

  #parse(pipeline: Pipeline): void {
    const { socket, requests } = pipeline
    while (pipeline.unparsed !== undefined && !socket.destroyed) {
      // The body of a request that has begun must come in.
      if (requests.at(-1)?.request.complete === true) break
      const bytes: Buffer = pipeline.unparsed
      pipeline.unparsed = bytes.length > slice ? bytes.subarray(slice) : undefined
      pipeline.parse(bytes.subarray(0, slice))
    }
    if (pipeline.unparsed !== undefined) {
      // Each time, since node resumes a socket by itself when answers have gone out.
      socket.pause()
      pipeline.isPaused = true
    } else if (pipeline.isPaused) {
      pipeline.isPaused = false
      socket.resume()
    }
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const pipeline = this.#bySocket.get(request.socket)
    if (pipeline === undefined) {
      this.#handle(request, response)
      return
    }
    pipeline.requests.push({ request, response })
    if (pipeline.requests.length === 1) this.#answer(pipeline)
  }

  #answer(pipeline: Pipeline): void {
    const { requests } = pipeline
    const [first] = requests
    if (first === undefined) return
    first.response.once('close', () => {
      requests.shift()
      if (requests.length > 0 || pipeline.unparsed !== undefined) this.#queue(pipeline)
    })
    this.#handle(first.request, first.response)
  }

  #queue(pipeline: Pipeline): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#round())
    this.#waiting.push(pipeline)
  }

  #round(): void {
    const turns = this.#waiting.splice(0, turnsEachRound)
    if (this.#waiting.length > 0) setImmediate(() => this.#round())
    for (const pipeline of turns) {
      if (pipeline.socket.destroyed) continue
      if (pipeline.requests.length > 0) this.#answer(pipeline)
      else this.#parse(pipeline)
    }
  }
}
