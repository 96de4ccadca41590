import type { Socket } from 'node:net'
import { network } from './network.js'

/**
 * Connections that have not said yet what they want, or are to hang up. When the last place is taken, the address that
 * has the most of them gives up its oldest: rsync says its two lines at once, so whoever is served waits behind nobody
 * who is silent.
 */
export class Newcomers {
  readonly #most: number
  readonly #byNetwork = new Map<string, Set<Socket>>()
  #count = 0

  constructor(most: number) {
    this.#most = most
  }

  get count(): number {
    return this.#count
  }

  /** @returns a function to call when it is none any more */
  add(socket: Socket, address: string): () => void {
    if (this.#count >= this.#most) this.#evict()
    const key = network(address)
    const alike = this.#byNetwork.get(key) ?? new Set()
    this.#byNetwork.set(key, alike.add(socket))
    this.#count += 1
    return () => this.#remove(key, socket)
  }

  destroyAll(): void {
    for (const sockets of [...this.#byNetwork.values()]) for (const socket of sockets) socket.destroy()
  }

  #remove(key: string, socket: Socket): void {
    const alike = this.#byNetwork.get(key)
    if (alike?.delete(socket) !== true) return
    this.#count -= 1
    if (alike.size === 0) this.#byNetwork.delete(key)
  }

  #evict(): void {
    const [key, sockets] = [...this.#byNetwork].reduce((one, other) =>
      other[1].size > one[1].size ? other : one,
    )
    for (const oldest of sockets) {
      this.#remove(key, oldest)
      oldest.destroy()
      return
    }
  }
}
