import { isIPv6 } from 'node:net'

/** An address as people write it. */
export const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '')

/** An IPv4 address, or the network of an IPv6 one: a single laptop has a whole /64 to choose from. */
export function network(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = (address.split('%')[0] ?? '').split('::')
  const parts = (text: string) => (text === '' ? [] : text.split(':'))
  const zeros = Array<string>(Math.max(0, 8 - parts(head).length - parts(tail).length)).fill('0')
  return [...parts(head), ...zeros, ...parts(tail)].slice(0, 4).join(':')
}
