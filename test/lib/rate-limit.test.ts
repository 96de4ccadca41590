import t from 'tap'
import { RateLimit } from '../../core/lib/rate-limit.js'

t.test('one network may ask so often at once, and so often a second from then on', (t) => {
  let now = 0
  const limit = new RateLimit({ burst: 1200, perSecond: 20 }, () => now)
  const asks = (address: string, times: number): number =>
    Array.from({ length: times }, () => limit.take(address)).filter(Boolean).length
  t.equal(asks('10.0.0.1', 1000), 1000, 'a thousand laptops behind one router')
  t.equal(asks('::ffff:10.0.0.1', 5000), 200)
  t.equal(asks('10.0.0.2', 40), 40)
  now += 10_000
  t.equal(asks('10.0.0.1', 5000), 200)
  now -= 5_000
  t.equal(asks('10.0.0.1', 10), 0, 'a clock that is set back gives nothing')
  t.equal(asks('2001:db8:0:1::7', 1000) + asks('2001:db8:0:1:a:b:c:d', 1000), 1200, 'one network')
  t.equal(asks('2001:db8:0:2::7', 1), 1)
  for (let index = 0; index < 10_100; index += 1) limit.take(`10.1.${index >> 8}.${index & 255}`)
  t.equal(asks('10.0.0.1', 5000), 1200, 'forgotten, as the one that asked longest ago')
  t.end()
})
