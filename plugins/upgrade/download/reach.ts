import { BlockList, isIPv4, isIPv6 } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')
// "This host": a connection to it ends at the machine itself.
loopback.addSubnet('0.0.0.0', 8, 'ipv4')
loopback.addAddress('::', 'ipv6')

const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

/** Networks of schools, of countries and of providers, that the world does not reach. */
const inner = new BlockList()
inner.addSubnet('10.0.0.0', 8, 'ipv4')
inner.addSubnet('172.16.0.0', 12, 'ipv4')
inner.addSubnet('192.168.0.0', 16, 'ipv4')
inner.addSubnet('100.64.0.0', 10, 'ipv4')
inner.addSubnet('fc00::', 7, 'ipv6')

const isIn = (list: BlockList, address: string): boolean => {
  // A zone, as in fe80::1%eth0, says which cable and not which address.
  const bare = address.replace(/%.*$/s, '')
  return (isIPv4(bare) && list.check(bare, 'ipv4')) || (isIPv6(bare) && list.check(bare, 'ipv6'))
}

/**
 * Whether a server may send us on to an address. One in the world must not be able to have us ask what only this
 * machine, its own cable or its own network reaches: services of the machine, a cloud's metadata, a router.
 * @param from the address of the server that says so
 */
export function mayLead(from: string, to: string): boolean {
  if (isIn(loopback, to)) return isIn(loopback, from)
  if (isIn(linkLocal, to)) return from === to
  return !isIn(inner, to) || isIn(inner, from) || isIn(loopback, from)
}
