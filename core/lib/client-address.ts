import { isIPv6 } from 'node:net'

/** An address as people write it: of an IPv4 client behind an IPv6 socket, without the `::ffff:` before it. */
export const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '')

/**
 * The network whose clients count as one: an IPv4 address, or the /64 of an IPv6 address, since one laptop may use any
 * address of its /64 (RFC 4291, 2.5.4).
 * @param address as `Socket.remoteAddress` has it, with or without a zone; any other text is its own network
 * @returns `192.0.2.1`, or `2001:db8:0:1::/64`
 */
export function networkOf(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  // An IPv4 address at the end stands for two groups. It never reaches into the first four.
  const bare = (plain.split('%')[0] ?? '').replace(/\d+\.\d+\.\d+\.\d+$/, '0:0')
  const [head = '', tail] = bare.split('::')
  const groups = (text = '') => (text === '' ? [] : text.split(':'))
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups(head).length - groups(tail).length)
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...groups(tail)]
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}
