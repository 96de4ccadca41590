import fc from 'fast-check'
import t from 'tap'
import { Pace, type PaceLimits } from '../../core/api.js'

const limits: PaceLimits = { idle: 100, start: 1000, rate: 50, total: 10_000 }

t.test('a transfer that stands still ends, and so does one that is too slow or too long', async (t) => {
  const still = new Pace(limits, 0)
  t.equal(still.look(99, 0), undefined)
  t.equal(still.look(100, 0), 'idle')
  t.equal(still.look(150, 1), undefined, 'a byte has moved')
  t.equal(still.look(249, 1), undefined)
  t.equal(still.look(250, 1), 'idle')

  const drip = new Pace(limits, 0)
  for (let now = 50; now < 1000; now += 50) t.equal(drip.look(now, now / 50), undefined)
  t.equal(drip.look(1050, 21), undefined, 'for what has moved there is time')
  t.equal(drip.look(1500, 22), 'slow')

  const long = new Pace(limits, 0)
  t.equal(long.look(9999, 1e9), undefined)
  t.equal(long.look(10_000, 2e9), 'late')
  t.equal(new Pace(limits, 0).look(5000, undefined), undefined, 'what cannot be counted is not judged')
})

t.test('one that moves as it must is never ended before its total, and every other one is', async () => {
  const gap = fc.integer({ min: 1, max: 99 })
  const property = fc.property(
    fc.array(gap, { minLength: 1, maxLength: 300 }),
    fc.boolean(),
    (gaps, isQuick) => {
      const pace = new Pace(limits, 0)
      let [now, moved] = [0, 0]
      for (const step of gaps) {
        now += step
        moved += isQuick ? Math.ceil((step * limits.rate) / 1000) : 1
        const isDue = now >= limits.total || (!isQuick && now >= limits.start + (moved / limits.rate) * 1000)
        if ((pace.look(now, moved) !== undefined) !== isDue) return false
      }
      return true
    },
  )
  fc.assert(property)
})
