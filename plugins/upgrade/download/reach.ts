import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** A network of IPv4, and the addresses by which a gateway to it makes it one of IPv6 (RFC 6052). */
function addNetwork(list: BlockList, net: string, bits: number): void {
  list.addSubnet(net, bits, 'ipv4')
  list.addSubnet(`64:ff9b::${net}`, 96 + bits, 'ipv6')
}

const loopback = new BlockList()
addNetwork(loopback, '127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')
// "This host": a connection to it ends at the machine itself.
addNetwork(loopback, '0.0.0.0', 8)
loopback.addAddress('::', 'ipv6')

const linkLocal = new BlockList()
addNetwork(linkLocal, '169.254.0.0', 16)
linkLocal.addSubnet('fe80::', 10, 'ipv6')

/** Networks of schools, of countries and of providers, that the world does not reach. */
const inner = new BlockList()
addNetwork(inner, '10.0.0.0', 8)
addNetwork(inner, '172.16.0.0', 12)
addNetwork(inner, '192.168.0.0', 16)
addNetwork(inner, '100.64.0.0', 10)
inner.addSubnet('fc00::', 7, 'ipv6')
inner.addSubnet('fec0::', 10, 'ipv6')

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
