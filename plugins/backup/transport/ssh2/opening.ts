import type { Socket } from 'node:net'

/** Characters of the line by which either side says what it is (RFC 4253, 4.2); with what ends it. */
const longestLine = 255
/** Bytes of the packet that follows. OpenSSH's has 1,600. */
const longestPacket = 8192
const keyExchangeInit = 20
/** Length, length of the padding, kind, and a cookie: what stands before the names. */
const beforeNames = 4 + 1 + 1 + 16

/** The first thing that a client says: which ciphers it has, for what it sends and for what it gets. */
export interface Opening {
  readonly sending: readonly string[]
  readonly getting: readonly string[]
}

/**
 * Reads what a client says before anything is agreed on: a line, then a packet in the clear (RFC 4253, 4.2 and 7.1).
 * @param bytes all that has come so far
 * @returns undefined while there is more to come, "none" when this is the start of no such thing
 */
export function parseOpening(bytes: Buffer): Opening | 'none' | undefined {
  const line = bytes.subarray(0, longestLine).indexOf('\n')
  if (line < 0) return bytes.length < longestLine ? undefined : 'none'
  if (!bytes.toString('latin1', 0, line).startsWith('SSH-')) return 'none'
  const packet = bytes.subarray(line + 1)
  if (packet.length < 4) return undefined
  const length = packet.readUInt32BE()
  if (length > longestPacket) return 'none'
  if (packet.length < 4 + length) return undefined
  return ciphersIn(packet.subarray(0, 4 + length))
}

function ciphersIn(packet: Buffer): Opening | 'none' {
  if (packet.length < beforeNames || packet[5] !== keyExchangeInit) return 'none'
  const lists: string[][] = []
  // Key exchanges, host keys, then the ciphers of both ways.
  for (let at = beforeNames; lists.length < 4; ) {
    if (at + 4 > packet.length) return 'none'
    const end = at + 4 + packet.readUInt32BE(at)
    if (end > packet.length) return 'none'
    lists.push(packet.toString('latin1', at + 4, end).split(','))
    at = end
  }
  const [, , sending = [], getting = []] = lists
  return { sending, getting }
}

/**
 * Listens for what a client says first, and leaves it in the socket as if nobody had listened.
 * @param socket paused; it is so again afterwards
 * @param patience milliseconds
 * @param heard is called once, unless the client hangs up before: with undefined for a client that says something else,
 *   or nothing in time
 */
export function overhearOpening(
  socket: Socket,
  patience: number,
  heard: (opening: Opening | undefined) => void,
): void {
  let bytes = Buffer.alloc(0)
  const listen = (piece: Buffer) => {
    bytes = Buffer.concat([bytes, piece])
    const opening = parseOpening(bytes)
    if (opening !== undefined) finish(opening === 'none' ? undefined : opening)
  }
  const stop = () => {
    clearTimeout(timer)
    socket.off('data', listen).off('end', stop).off('close', stop)
  }
  const finish = (opening: Opening | undefined) => {
    stop()
    socket.pause()
    if (bytes.length > 0) socket.unshift(bytes)
    heard(opening)
  }
  const timer = setTimeout(() => finish(undefined), patience)
  socket.on('data', listen).once('end', stop).once('close', stop)
  socket.resume()
}
