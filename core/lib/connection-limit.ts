import type { Logger } from '../log/log.js'
import { networkOf } from './client-address.js'
import { EvictionLog } from './eviction-log.js'

/** A connection, as far as it is counted. */
export interface Connection {
  readonly remoteAddress?: string | undefined
  readonly destroyed?: boolean
  destroy(): unknown
}

/**
 * How readily a connection gives way: `idle` first; `sending`, whose request is still coming in, when its network has no
 * idle one; `busy`, whose client waits for the server, never.
 */
export type Standing = 'idle' | 'sending' | 'busy'

export interface LimitOptions<C> {
  /** Connections at once, of all networks. */
  readonly most: number
  /** Connections at once of one network. Without it, one may have all. */
  readonly perNetwork?: number
  /** What they are connections of, for the log. */
  readonly what: string
  readonly log?: Pick<Logger, 'warn'> | undefined
  /** Without it, all are idle. */
  readonly standing?: (connection: C) => Standing
}

/**
 * A bounded number of connections. When the last place is taken, the network (`networkOf`) that has most of them gives up
 * its oldest idle one for the new one: a class behind one router is served, and a thousand silent sockets keep no one
 * out.
 */
export class ConnectionLimit<C extends Connection = Connection> {
  readonly #options: LimitOptions<C>
  readonly #evictions: EvictionLog
  /** In the order in which they came; and of each, its network. */
  readonly #networks = new Map<C, string>()
  readonly #byNetwork = new Map<string, Set<C>>()

  constructor(options: LimitOptions<C>) {
    this.#options = options
    this.#evictions = new EvictionLog(`all ${options.most} connections of ${options.what}`, options.log)
  }

  get count(): number {
    return this.#networks.size
  }

  /** Connections in the order in which they came. */
  get all(): readonly C[] {
    return [...this.#networks.keys()]
  }

  /**
   * Counts a connection in, until `delete`. Another one may be destroyed for it.
   * @returns false when no other can give way: the new one was destroyed
   */
  add(connection: C): boolean {
    const network = networkOf(connection.remoteAddress ?? '')
    if (this.#isFull(network)) {
      const victim = this.#victimFor(network)
      this.#evictions.note(this.#networks.get(victim ?? connection) ?? network)
      if (victim === undefined) {
        connection.destroy()
        return false
      }
      this.delete(victim)
      victim.destroy()
    }
    this.#networks.set(connection, network)
    const alike = this.#byNetwork.get(network)
    if (alike === undefined) this.#byNetwork.set(network, new Set([connection]))
    else alike.add(connection)
    return true
  }

  delete(connection: C): void {
    const network = this.#networks.get(connection)
    if (network === undefined) return
    this.#networks.delete(connection)
    const alike = this.#byNetwork.get(network)
    alike?.delete(connection)
    if (alike?.size === 0) this.#byNetwork.delete(network)
  }

  destroyAll(): void {
    for (const connection of this.all) connection.destroy()
  }

  #isFull(network: string): boolean {
    const { most, perNetwork = most } = this.#options
    return this.count >= most || (this.#byNetwork.get(network)?.size ?? 0) >= perNetwork
  }

  /** @returns the connection that gives way to one of this network */
  #victimFor(network: string): C | undefined {
    const { most, perNetwork = most } = this.#options
    const alike = this.#byNetwork.get(network)
    if (alike !== undefined && alike.size >= perNetwork) return this.#oldestOf(alike)
    const sets = [...this.#byNetwork.values()]
    // Sorting all of them is rarely needed, and a flood of connections would feel it.
    const greediest = sets.reduce((one, other) => (other.size > one.size ? other : one), new Set<C>())
    const oldest = this.#oldestOf(greediest)
    if (oldest !== undefined) return oldest
    sets.sort((one, other) => other.size - one.size)
    for (const others of sets) {
      const found = this.#oldestOf(others)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** The oldest idle connection, or else the oldest that is still sending. */
  #oldestOf(alike: ReadonlySet<C>): C | undefined {
    const { standing = () => 'idle' } = this.#options
    let sending: C | undefined
    for (const connection of alike) {
      if (connection.destroyed === true) continue
      const how = standing(connection)
      if (how === 'idle') return connection
      if (how === 'sending') sending ??= connection
    }
    return sending
  }
}
