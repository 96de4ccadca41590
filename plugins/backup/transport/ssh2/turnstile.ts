import type { Socket } from 'node:net'

export interface TurnstileLimits {
  /** Connections that are served at once. */
  readonly connections: number
  /** Of these, from one address: a whole school may come from behind one router. */
  readonly perAddress: number
  /** Connections that wait until others have gone. */
  readonly waiting: number
  /** Milliseconds that one waits at most. */
  readonly patience: number
}

interface Waiting {
  readonly socket: Socket
  readonly address: string
  readonly timer: NodeJS.Timeout
}

/**
 * Lets so many connections in, and has others wait in line instead of turning them away: when a whole school comes
 * at once, nobody has to try again, and nobody is faster for having tried more often.
 */
export class Turnstile {
  readonly #limits: TurnstileLimits
  readonly #admit: (socket: Socket, address: string) => void
  readonly #inside = new Map<string, number>()
  #count = 0
  #line: Waiting[] = []

  /** @param admit is called for each one let in, which is inside until its socket closes */
  constructor(limits: TurnstileLimits, admit: (socket: Socket, address: string) => void) {
    this.#limits = limits
    this.#admit = admit
  }

  /** Connections that are served now. */
  get count(): number {
    return this.#count
  }

  /** @param socket paused */
  arrive(socket: Socket): void {
    const address = socket.remoteAddress?.replace(/^::ffff:/, '')
    socket.on('error', () => socket.destroy())
    if (address === undefined) {
      socket.destroy()
    } else if (this.#room(address)) {
      this.#enter(socket, address)
    } else {
      this.#wait(socket, address)
    }
  }

  #wait(socket: Socket, address: string): void {
    const alike = this.#line.filter((other) => other.address === address).length
    // One address alone cannot fill the line.
    if (this.#line.length >= this.#limits.waiting || alike >= this.#limits.waiting / 2) {
      socket.destroy()
      return
    }
    const timer = setTimeout(() => socket.destroy(), this.#limits.patience)
    const waiting = { socket, address, timer }
    this.#line.push(waiting)
    socket.once('close', () => {
      clearTimeout(timer)
      this.#line = this.#line.filter((other) => other !== waiting)
    })
  }

  /** Sends away all who wait. */
  clear(): void {
    for (const { socket } of this.#line) socket.destroy()
  }

  #room(address: string): boolean {
    return this.#count < this.#limits.connections && this.#of(address) < this.#limits.perAddress
  }

  #of(address: string): number {
    return this.#inside.get(address) ?? 0
  }

  #enter(socket: Socket, address: string): void {
    this.#count += 1
    this.#inside.set(address, this.#of(address) + 1)
    socket.once('close', () => this.#left(address))
    this.#admit(socket, address)
  }

  #left(address: string): void {
    this.#count -= 1
    const others = this.#of(address) - 1
    if (others === 0) this.#inside.delete(address)
    else this.#inside.set(address, others)
    const next = this.#line.findIndex((waiting) => !waiting.socket.destroyed && this.#room(waiting.address))
    const [waiting] = next < 0 ? [] : this.#line.splice(next, 1)
    if (waiting === undefined) return
    clearTimeout(waiting.timer)
    this.#enter(waiting.socket, waiting.address)
  }
}
