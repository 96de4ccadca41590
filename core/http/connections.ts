import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { ConnectionLimit } from '../lib/connection-limit.js'
import { shareOfDescriptors } from '../lib/descriptors.js'
import type { Logger } from '../log/log.js'

// A school's laptops twice over; with a request half sent on each the memory stays bounded.
const mostPlaces = 2048

/**
 * Keeps servers from being filled with idle connections: one without a request under way gives way, or else one whose
 * request is still coming in, or that has sent more requests than are answered yet.
 */
export class Connections {
  readonly #limit: ConnectionLimit<Socket>
  /** The requests of each connection that has some under way, in the order in which they came. */
  readonly #requests = new Map<Socket, Set<IncomingMessage>>()

  constructor(log?: Logger, most = shareOfDescriptors(1 / 2, mostPlaces)) {
    this.#limit = new ConnectionLimit({
      what: 'HTTP',
      most,
      log,
      standing: (socket) => {
        const [request, ...others] = this.#requests.get(socket) ?? []
        if (request === undefined) return 'idle'
        return request.complete && others.length === 0 ? 'busy' : 'sending'
      },
    })
  }

  /** Counts a server's connections in. All servers of a process share its places, as they share its descriptors. */
  watch(server: Server): void {
    server.on('connection', (socket) => {
      if (!this.#limit.add(socket)) return
      socket.once('close', () => {
        this.#limit.delete(socket)
        this.#requests.delete(socket)
      })
    })
    server.on('request', (request, response) => {
      const { socket } = request
      const requests = this.#requests.get(socket) ?? new Set()
      this.#requests.set(socket, requests.add(request))
      response.once('close', () => {
        requests.delete(request)
        if (requests.size === 0 && this.#requests.get(socket) === requests) this.#requests.delete(socket)
      })
    })
  }

  get count(): number {
    return this.#limit.count
  }

  destroyAll(): void {
    this.#limit.destroyAll()
  }

  /** Ends connections over which nothing ever came: node counts them as busy until their headers are overdue. */
  destroySilent(): void {
    for (const socket of this.#limit.all) if (socket.bytesRead === 0) socket.destroy()
  }
}
