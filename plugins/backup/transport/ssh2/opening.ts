import type { Socket } from 'node:net'

/** Characters of the line by which either side says what it is (RFC 4253, 4.2); with what ends it. */
const longestLine = 255
/** Bytes of the packet that follows. OpenSSH's has 1,600. */
const longestPacket = 8192
const keyExchangeInit = 20
/** Length, length of the padding, kind, and a cookie: what stands before the names. */
const beforeNames = 4 + 1 + 1 + 16

/** The first thing that a client says: which algorithms it has, the best first. */
export interface Opening {
  /** What it calls itself: `2.0-OpenSSH_9.2p1`. */
  readonly software: string
  readonly kex: readonly string[]
  readonly hostKeys: readonly string[]
  /** Ciphers, for what it sends and for what it gets. */
  readonly sending: readonly string[]
  readonly getting: readonly string[]
  /** Whether the next packet is sent on the guess that the server would choose the first of each (RFC 4253, 7). */
  readonly hasGuessed: boolean
}

/**
 * Reads what a client says before anything is agreed on: a line, then a packet in the clear (RFC 4253, 4.2 and 7.1).
 * @param bytes all that has come so far
 * @returns undefined while there is more to come, "none" when this is the start of no such thing
 */
export function parseOpening(bytes: Buffer): Opening | 'none' | undefined {
  const line = bytes.subarray(0, longestLine).indexOf('\n')
  if (line < 0) return bytes.length < longestLine ? undefined : 'none'
  const identification = bytes.toString('latin1', 0, line)
  if (!identification.startsWith('SSH-')) return 'none'
  const packet = bytes.subarray(line + 1)
  if (packet.length < 4) return undefined
  const length = packet.readUInt32BE()
  if (length > longestPacket) return 'none'
  if (packet.length < 4 + length) return undefined
  const names = namesIn(packet.subarray(0, 4 + length))
  return names === 'none' ? 'none' : { software: identification.slice(4).trimEnd(), ...names }
}

function namesIn(packet: Buffer): Omit<Opening, 'software'> | 'none' {
  if (packet.length < beforeNames || packet[5] !== keyExchangeInit) return 'none'
  const lists: string[][] = []
  let at = beforeNames
  // Key exchanges, host keys, then ciphers, MACs, compressions and languages, each for both ways.
  while (lists.length < 10) {
    if (at + 4 > packet.length) return 'none'
    const end = at + 4 + packet.readUInt32BE(at)
    if (end > packet.length) return 'none'
    lists.push(packet.toString('latin1', at + 4, end).split(','))
    at = end
  }
  const [kex = [], hostKeys = [], sending = [], getting = []] = lists
  return { kex, hostKeys, sending, getting, hasGuessed: packet[at] === 1 }
}

export interface Listening {
  /** Milliseconds between looks whether a client that has said its line waits for more from the server. */
  readonly patience: number
  /** Whether such a client may go on. */
  mayPass(): boolean
}

/**
 * Listens for what a client says first, and leaves it in the socket as if nobody had listened.
 * @param socket paused; it is so again afterwards
 * @param heard is called once, unless the client hangs up before: with undefined for a client that says something else,
 *   or that has said its line and may pass
 */
export function overhearOpening(
  socket: Socket,
  { patience, mayPass }: Listening,
  heard: (opening: Opening | undefined) => void,
): void {
  let bytes = Buffer.alloc(0)
  const listen = (piece: Buffer) => {
    bytes = Buffer.concat([bytes, piece])
    const opening = parseOpening(bytes)
    if (opening !== undefined) finish(opening === 'none' ? undefined : opening)
  }
  const stop = () => {
    clearInterval(timer)
    socket.off('data', listen).off('end', stop).off('close', stop)
  }
  const finish = (opening: Opening | undefined) => {
    stop()
    socket.pause()
    if (bytes.length > 0) socket.unshift(bytes)
    heard(opening)
  }
  const timer = setInterval(() => {
    if (bytes.includes('\n') && mayPass()) finish(undefined)
  }, patience)
  socket.on('data', listen).once('end', stop).once('close', stop)
  socket.resume()
}
