import fc from 'fast-check'
import t from 'tap'
import { networkOf, plainAddress } from '../../core/lib/client-address.js'

t.test('an IPv4 client counts alone, and those of one IPv6 /64 as one', (t) => {
  t.equal(networkOf('192.0.2.1'), '192.0.2.1')
  t.equal(networkOf('::ffff:192.0.2.1'), '192.0.2.1', 'over a socket of IPv6')
  t.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(networkOf('2001:db8:0:1::7'), '2001:db8:0:1::/64')
  t.equal(networkOf('2001:DB8:0:0001:a:b:c:d'), '2001:db8:0:1::/64', 'however it is written')
  t.equal(networkOf('fe80::1%eth0'), networkOf('fe80::2%eth1'))
  t.equal(networkOf('64:ff9b::192.0.2.1'), '64:ff9b:0:0::/64')
  t.equal(networkOf('::'), '0:0:0:0::/64')
  t.equal(networkOf('no address'), 'no address')
  t.end()
})

t.test('the network of an IPv6 address is its first four groups, with and without "::"', (t) => {
  const group = fc.integer({ min: 0, max: 0xffff })
  const address = fc.array(group, { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(address, fc.nat(7), fc.nat(8), (groups, from, length) => {
      const end = Math.min(8, from + length)
      const zeroed = groups.map((value, index) => (index >= from && index < end ? 0 : value))
      const texts = zeroed.map((value) => value.toString(16))
      const short =
        end === from ? texts.join(':') : `${texts.slice(0, from).join(':')}::${texts.slice(end).join(':')}`
      const expected = `${texts.slice(0, 4).join(':')}::/64`
      return networkOf(short) === expected && networkOf(texts.join(':')) === expected
    }),
  )
  t.end()
})
