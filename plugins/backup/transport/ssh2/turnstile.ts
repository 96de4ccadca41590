import { ConnectionLimit, EvictionLog, type Logger } from '../../../../core/api.js'
import type { Visitor } from './visitor.js'

/** Times in milliseconds. */
export interface TurnstileLimits {
  /** Connections that are served at once. */
  readonly connections: number
  /** Of these, from one network: a whole school may come from behind one router. */
  readonly perNetwork: number
  /** Connections that wait until others have gone; half of them from one network. */
  readonly waiting: number
  /** That one waits at most. */
  readonly patience: number
  /** Without a step of its client after which a connection gives way to one that waits. */
  readonly silence: number
  /** The same for a connection to whose network more are served than to that of the one which waits. */
  readonly silenceOfMany: number
}

/** Milliseconds between looks for connections that give way. */
const look = 250

/**
 * Lets so many connections in, and has others wait in line instead of turning them away: when a whole school comes
 * at once, nobody has to try again, and nobody is faster for having tried more often. The network that is served least
 * comes first. While some wait, a client that lets the server wait for its next step gives way: to the one of its network
 * that came last, since those before came with the silent ones.
 */
export class Turnstile {
  readonly #limits: TurnstileLimits
  readonly #admit: (visitor: Visitor) => void
  readonly #inside = new Map<string, Set<Visitor>>()
  #count = 0
  readonly #line: ConnectionLimit<Visitor>
  /** Of those in line: each one's patience. */
  readonly #timers = new Map<Visitor, NodeJS.Timeout>()
  readonly #evictions: EvictionLog
  #looking: NodeJS.Timeout | undefined

  /** @param admit is called for each one let in, which is inside until its socket closes */
  constructor(limits: TurnstileLimits, log: Pick<Logger, 'warn'>, admit: (visitor: Visitor) => void) {
    this.#limits = limits
    this.#admit = admit
    const { connections, waiting } = limits
    const perNetwork = Math.ceil(waiting / 2)
    this.#line = new ConnectionLimit({ what: 'ssh that wait for others', most: waiting, perNetwork, log })
    this.#evictions = new EvictionLog(`all ${connections} connections of ssh`, log)
  }

  /** Connections that are served now. */
  get count(): number {
    return this.#count
  }

  /** Connections that wait. */
  get waiting(): number {
    return this.#line.count
  }

  /** @param visitor its socket paused */
  arrive(visitor: Visitor): void {
    if (this.#room(visitor.network)) this.#enter(visitor)
    else this.#wait(visitor)
  }

  /** Whether half of the places are free, for this network too. */
  isRoomy({ network }: Visitor): boolean {
    const { connections, perNetwork } = this.#limits
    return this.#count < connections / 2 && this.#of(network) < perNetwork / 2
  }

  /** Sends away all who wait. */
  clear(): void {
    this.#line.destroyAll()
  }

  #wait(visitor: Visitor): void {
    if (!this.#line.add(visitor)) return
    this.#timers.set(
      visitor,
      setTimeout(() => visitor.destroy(), this.#limits.patience),
    )
    visitor.socket.once('close', () => this.#forget(visitor))
    this.#looking ??= setInterval(() => {
      // What came while the server was busy is read before this looks who is silent.
      setImmediate(() => this.#relieve())
    }, look)
  }

  /** Takes one out of the line. */
  #forget(visitor: Visitor): void {
    this.#line.delete(visitor)
    clearTimeout(this.#timers.get(visitor))
    this.#timers.delete(visitor)
    if (this.#line.count > 0) return
    clearInterval(this.#looking)
    this.#looking = undefined
  }

  #room(network: string): boolean {
    return this.#count < this.#limits.connections && this.#of(network) < this.#limits.perNetwork
  }

  #of(network: string): number {
    return this.#inside.get(network)?.size ?? 0
  }

  #enter(visitor: Visitor): void {
    this.#count += 1
    const alike = this.#inside.get(visitor.network) ?? new Set()
    this.#inside.set(visitor.network, alike.add(visitor))
    visitor.awaitNext()
    visitor.socket.once('close', () => this.#leave(visitor, 'oldest'))
    this.#admit(visitor)
  }

  /** @param next of those whose network is served least */
  #leave(visitor: Visitor, next: 'oldest' | 'newest'): void {
    const alike = this.#inside.get(visitor.network)
    if (alike?.delete(visitor) !== true) return
    this.#count -= 1
    if (alike.size === 0) this.#inside.delete(visitor.network)
    const [waiting] = this.#inTurn(next, ({ network }) => this.#room(network))
    if (waiting === undefined) return
    this.#forget(waiting)
    this.#enter(waiting)
  }

  /** Those in line: whose network is served least comes first, and of these the oldest or the newest. */
  #inTurn(first: 'oldest' | 'newest', isMeant: (visitor: Visitor) => boolean): Visitor[] {
    const line = this.#line.all.filter((visitor) => !visitor.destroyed && isMeant(visitor))
    return (first === 'oldest' ? line : line.reverse()).sort(
      (one, other) => this.#of(one.network) - this.#of(other.network),
    )
  }

  #relieve(): void {
    const now = performance.now()
    const silence = ({ owesSince = now }: Visitor) => now - owesSince
    const silent = [...this.#inside.values()]
      .flatMap((alike) => [...alike])
      .filter((visitor) => silence(visitor) >= this.#limits.silenceOfMany)
      .sort((one, other) => this.#of(other.network) - this.#of(one.network) || silence(other) - silence(one))
    for (const waiting of this.#inTurn('newest', () => true)) {
      if (silent.length === 0) return
      const found = silent.findIndex((visitor) => this.#yields(visitor, silence(visitor), waiting))
      if (found < 0) continue
      for (const visitor of silent.splice(found, 1)) {
        this.#evictions.note(visitor.network)
        visitor.destroy()
        this.#leave(visitor, 'newest')
      }
    }
  }

  #yields(visitor: Visitor, silence: number, waiting: Visitor): boolean {
    const ours = this.#of(waiting.network)
    if (visitor.network === waiting.network) return silence >= this.#limits.silence
    if (ours >= this.#limits.perNetwork) return false
    return silence >= this.#limits.silence || this.#of(visitor.network) > ours + 1
  }
}
