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

const isIn = (list: BlockList, address: string): boolean => {
  // A zone, as in fe80::1%eth0, says which cable and not which address.
  const bare = address.replace(/%.*$/s, '')
  return (isIPv4(bare) && list.check(bare, 'ipv4')) || (isIPv6(bare) && list.check(bare, 'ipv6'))
}

/**
 * Whether a server may send us on to an address. One in the world must not be able to have us ask what only this
 * machine or its own cable reaches: services of the machine, a cloud's metadata.
 * @param from the address of the server that says so
 */
export function mayLead(from: string, to: string): boolean {
  if (isIn(loopback, to)) return isIn(loopback, from)
  return !isIn(linkLocal, to) || from === to
}
