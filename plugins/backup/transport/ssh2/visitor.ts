import type { Socket } from 'node:net'
import { networkOf, plainAddress } from '../../../../core/api.js'
import type { Opening } from './opening.js'

/** One connection, from the first packet to the last. */
export class Visitor {
  readonly socket: Socket
  readonly address: string
  /** What it is counted with (`networkOf`). */
  readonly network: string
  /** What the client has said first; undefined when it waits for the server to say more. */
  opening: Opening | undefined
  /**
   * Since when the client has to take the next step, as `performance.now()`: to go on with its login, or to ask for
   * something. Bytes do not count, since a client may send them one by one for ever. Undefined while the server works
   * for it.
   */
  owesSince: number | undefined

  /** @param address of the socket, which has none any more once it is closed */
  constructor(socket: Socket, address: string) {
    this.socket = socket
    this.address = plainAddress(address)
    this.network = networkOf(address)
  }

  /** The client has its turn now. */
  awaitNext(): void {
    this.owesSince = performance.now()
  }

  get remoteAddress(): string {
    return this.address
  }

  get destroyed(): boolean {
    return this.socket.destroyed
  }

  destroy(): void {
    this.socket.destroy()
  }
}
