import type { Connection } from 'ssh2'
import { algorithms } from './algorithms.js'
import type { Opening } from './opening.js'

/** What ssh2 (1.17) does not say in its types: whether the next packet is dropped. */
interface Innards {
  readonly _protocol?: { _skipNextInboundPacket: boolean }
}

/**
 * Has ssh2 read the packet that a client such as dropbear sends on a guess, right behind its names (RFC 4253, 7). ssh2
 * (1.17) takes every guess for a wrong one and drops the packet; a client whose guess was right waits for the answer for
 * ever.
 */
export function heedGuess(client: Connection, { hasGuessed, kex, hostKeys }: Opening): void {
  const isRight = kex[0] === algorithms.kex[0] && hostKeys[0] === algorithms.serverHostKey[0]
  const protocol = (client as unknown as Innards)._protocol
  if (!hasGuessed || !isRight || protocol === undefined) return
  Object.defineProperty(protocol, '_skipNextInboundPacket', {
    configurable: true,
    get: () => false,
    set: () => undefined,
  })
  // Whatever is guessed later, at a change of keys, is ssh2's to judge.
  client.once('handshake', () => {
    Object.defineProperty(protocol, '_skipNextInboundPacket', { value: false, writable: true })
  })
}
