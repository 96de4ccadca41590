import { isIPv4, isIPv6 } from 'node:net'
import type { Context } from 'koa'

/** How a laptop reached this server. */
export interface Reached {
  /** The Host header of its request, as it came; empty when there was none. */
  readonly host: string
  /** Address of this server's end of the connection. */
  readonly localAddress: string | undefined
}

export const reachedBy = ({ req }: Pick<Context, 'req'>): Reached => ({
  host: req.headers.host ?? '',
  localAddress: req.socket.localAddress,
})

/** Labels of a name as resolvers take them; some schools have an underscore in theirs. */
const nameForm =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/
const headerForm = /^(\[[0-9A-Fa-f:.]{2,45}\]|[^:[\]]{1,253})(?::(\d{1,5}))?$/

/**
 * The name or address in a Host header (RFC 9112, 3.2), without the port.
 * @returns undefined when it is malformed, or other laptops could not reach this server by it
 */
export function hostOf(header: string): string | undefined {
  const [, host, port] = headerForm.exec(header) ?? []
  if (host === undefined || Number(port ?? 0) > 65_535) return undefined
  if (host.startsWith('[')) return isReachableV6(host.slice(1, -1)) ? host : undefined
  if (isIPv4(host)) return isReachableV4(host) ? host : undefined
  return isReachableName(host) ? host : undefined
}

/** An address of a socket as a laptop writes it in an URL. @returns undefined when laptops cannot reach it */
export function addressOf(local: string | undefined): string | undefined {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(local ?? '')?.[1]
  if (v4 !== undefined) return isReachableV4(v4) ? v4 : undefined
  return local !== undefined && isReachableV6(local) ? `[${local}]` : undefined
}

function isReachableName(name: string): boolean {
  if (!nameForm.test(name)) return false
  const labels = name.toLowerCase().split('.')
  if (labels[0] === 'localhost' || labels.at(-1) === 'localhost') return false
  // Resolvers read 127.1, 2130706433 and 0x7f000001 as addresses.
  return !/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')
}

/** Neither of "this network", loopback, multicast, nor reserved. */
function isReachableV4(address: string): boolean {
  if (!isIPv4(address)) return false
  const [first = 0] = address.split('.').map(Number)
  return first !== 0 && first !== 127 && first < 224
}

function isReachableV6(address: string): boolean {
  if (!isIPv6(address)) return false
  // Unspecified, loopback, IPv4 in another form; link-local ones mean nothing without an interface; multicast.
  return !/^(?:::|::1|::ffff:.*|[0:]+1?|fe[89ab].*|ff.*)$/i.test(address) && !address.includes('.')
}
