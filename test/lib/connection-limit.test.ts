import fc from 'fast-check'
import t from 'tap'
import { ConnectionLimit, type Standing } from '../../core/lib/connection-limit.js'
import { shareOfDescriptors } from '../../core/lib/descriptors.js'

/** A connection that tells when it was destroyed. */
class Fake {
  readonly name: string
  readonly remoteAddress: string
  readonly standing: Standing
  destroyed = false

  constructor(name: string, remoteAddress: string, standing: Standing = 'idle') {
    this.name = name
    this.remoteAddress = remoteAddress
    this.standing = standing
  }

  destroy(): void {
    this.destroyed = true
  }
}

const limitOf = (most: number, perNetwork = most, log?: { warn: () => void }) =>
  new ConnectionLimit<Fake>({ most, perNetwork, what: 'a test', log, standing: ({ standing }) => standing })

t.test('the oldest idle connection of the network with most of them gives way', (t) => {
  const limit = limitOf(4)
  const first = new Fake('first', '10.0.0.2')
  const busy = new Fake('busy', '10.0.0.1', 'busy')
  const [one, two] = [new Fake('one', '::ffff:10.0.0.1'), new Fake('two', '10.0.0.1')]
  for (const each of [first, busy, one, two]) t.ok(limit.add(each))
  t.ok(limit.add(new Fake('new', '10.0.0.3')))
  t.same(
    [first, busy, one, two].filter(({ destroyed }) => destroyed),
    [one],
  )
  t.equal(limit.count, 4)
  limit.delete(first)
  limit.delete(first)
  t.equal(limit.count, 3, 'and each place is given back once')
  t.end()
})

t.test('a request that comes in gives way after idle connections, and one at work never', (t) => {
  const limit = limitOf(3)
  const [busy, sending, idle] = [
    new Fake('busy', '10.0.0.1', 'busy'),
    new Fake('sending', '10.0.0.1', 'sending'),
    new Fake('idle', '10.0.0.1', 'idle'),
  ]
  for (const each of [busy, sending, idle]) limit.add(each)
  t.ok(limit.add(new Fake('x', '10.0.0.2', 'busy')))
  t.same([idle.destroyed, sending.destroyed], [true, false])
  t.ok(limit.add(new Fake('y', '10.0.0.3', 'busy')))
  t.equal(sending.destroyed, true)
  const late = new Fake('late', '10.0.0.4')
  t.equal(limit.add(late), false, 'all are at work')
  t.equal(late.destroyed, true)
  t.equal(busy.destroyed, false)
  t.end()
})

t.test('one network that has all it may have takes from itself', (t) => {
  const limit = limitOf(10, 2)
  const fakes = ['2001:db8::1', '2001:db8::2', '2001:db8::3'].map((address) => new Fake(address, address))
  const other = new Fake('other', '2001:db8:0:1::1')
  limit.add(other)
  for (const fake of fakes) t.ok(limit.add(fake))
  t.same(
    [other, ...fakes].map(({ destroyed }) => destroyed),
    [false, true, false, false],
  )
  t.end()
})

t.test('the operator is told once, with the network whose connections went', async (t) => {
  const told: unknown[][] = []
  const limit = limitOf(1, 1, { warn: (...words: unknown[]) => void told.push(words) })
  for (let n = 0; n < 5; n += 1) limit.add(new Fake(`${n}`, '2001:db8::1'))
  while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
  t.same(told, [
    [
      { network: '2001:db8:0:0::/64', connections: 4 },
      'all 1 connections of a test were taken: 4 had to give way',
    ],
  ])
})

t.test('whatever comes and goes, the bounds hold, and none is destroyed while there is room', (t) => {
  const event = fc.record({
    network: fc.nat(3),
    goes: fc.boolean(),
    standing: fc.constantFrom('idle', 'busy'),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const limit = limitOf(5, 3)
      for (const { network, goes, standing } of events) {
        const [oldest] = limit.all
        if (goes && oldest !== undefined) {
          limit.delete(oldest)
          continue
        }
        const before = limit.all
        const address = `10.0.0.${network}`
        const isFull =
          before.length >= 5 || before.filter(({ remoteAddress }) => remoteAddress === address).length >= 3
        const fake = new Fake('any', address, standing as Standing)
        const isIn = limit.add(fake)
        const gone = before.filter(({ destroyed }) => destroyed)
        if (isIn === fake.destroyed || limit.count > 5 || gone.length > 1) return false
        if (!isFull && (gone.length > 0 || !isIn)) return false
        if (gone.some((one) => one.standing === 'busy')) return false
        const alike = limit.all.filter(({ remoteAddress }) => remoteAddress === address)
        if (alike.length > 3) return false
      }
      return true
    }),
  )
  t.end()
})

t.test('connections of one kind leave descriptors to others', (t) => {
  const all = shareOfDescriptors(1, Number.MAX_SAFE_INTEGER)
  t.equal(shareOfDescriptors(1 / 2, Number.MAX_SAFE_INTEGER), Math.floor(all / 2))
  t.equal(shareOfDescriptors(1 / 2, 10), 10)
  t.ok(shareOfDescriptors(1e-9, 100) >= 8, 'some are needed in any case')
  t.end()
})
