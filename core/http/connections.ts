import { readFileSync } from 'node:fs'
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Keeps servers from being filled with idle connections. When the last place is taken, the address that holds
 * the most gives up its oldest connection without a request under way, or else one whose request is still
 * coming in: a class behind one router is served, a thousand half-open sockets of one laptop are not.
 */
export class Connections {
  readonly #most: number
  readonly #byAddress = new Map<string, Set<Socket>>()
  /** The newest request of each connection that has one under way. */
  readonly #busy = new Map<Socket, IncomingMessage>()
  #count = 0

  constructor(most = placesByDescriptors()) {
    this.#most = most
  }

  /** Counts a server's connections in. All servers of a process share its places, as they share its descriptors. */
  watch(server: Server): void {
    server.on('connection', (socket) => this.#add(socket))
    server.on('request', (request, response) => {
      const { socket } = request
      this.#busy.set(socket, request)
      response.once('close', () => {
        if (this.#busy.get(socket) === request) this.#busy.delete(socket)
      })
    })
  }

  get count(): number {
    return this.#count
  }

  destroyAll(): void {
    for (const socket of this.#all()) socket.destroy()
  }

  /** Ends connections over which nothing ever came: node counts them as busy until their headers are overdue. */
  destroySilent(): void {
    for (const socket of this.#all()) if (socket.bytesRead === 0) socket.destroy()
  }

  #all(): Socket[] {
    return [...this.#byAddress.values()].flatMap((sockets) => [...sockets])
  }

  #add(socket: Socket): void {
    if (this.#count >= this.#most && !this.#evict()) {
      socket.destroy()
      return
    }
    const address = socket.remoteAddress ?? ''
    let sockets = this.#byAddress.get(address)
    if (sockets === undefined) {
      sockets = new Set()
      this.#byAddress.set(address, sockets)
    }
    sockets.add(socket)
    this.#count += 1
    socket.once('close', () => {
      this.#count -= 1
      this.#busy.delete(socket)
      sockets.delete(socket)
      if (sockets.size === 0) this.#byAddress.delete(address)
    })
  }

  #evict(): boolean {
    const greediest = [...this.#byAddress.values()].sort((a, b) => b.size - a.size)
    for (const sockets of greediest) {
      let incoming: Socket | undefined
      for (const socket of sockets) {
        if (socket.destroyed) continue
        const request = this.#busy.get(socket)
        if (request === undefined) {
          socket.destroy()
          return true
        }
        if (!request.complete) incoming ??= socket
      }
      if (incoming === undefined) continue
      incoming.destroy()
      return true
    }
    return false
  }
}

// A school's laptops twice over; with a request half sent on each the memory stays bounded.
const mostPlaces = 2048

/** Half of the file descriptors that this process may have: the store and child processes need some too. */
function placesByDescriptors(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return soft === undefined ? mostPlaces : Math.min(mostPlaces, Math.max(8, Math.floor(Number(soft) / 2)))
  } catch {
    return mostPlaces
  }
}
