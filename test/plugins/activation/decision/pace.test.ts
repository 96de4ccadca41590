import t from 'tap'
import { Pace } from '../../../../plugins/activation/decision/pace.js'
import { laptop } from '../../../support/activation/activation-school.js'

const limits = { each: 8, seconds: 10, burst: 2000, perSecond: 50 }

/** How many of so many serials had a turn. */
const served = (pace: Pace, from: number, count: number): number =>
  Array.from({ length: count }, (_, n) => pace.take(laptop(from + n).serial)).filter(Boolean).length

t.test('a laptop has several turns, so that nobody can use up the only one', async (t) => {
  let now = 0
  const pace = new Pace(limits, () => now)
  const { serial } = laptop(1)
  const turns = () => Array.from({ length: 10 }, () => pace.take(serial)).filter(Boolean).length
  t.equal(turns(), 8)
  now = 9_999
  t.equal(turns(), 0)
  t.ok(pace.take(laptop(2).serial), 'others are not kept waiting')
  now = 10_000
  t.equal(turns(), 8)
})

t.test('a class is served at once, and a flood no faster than fifty a second', async (t) => {
  let now = 0
  const pace = new Pace(limits, () => now)
  t.equal(served(pace, 0, 1000), 1000)
  t.equal(served(pace, 1000, 5000), 1000)
  now = 1000
  t.equal(served(pace, 6000, 5000), 50)
  now = 1010
  t.equal(served(pace, 11_000, 5000), 0, 'a part of a turn is none')
  now = 1020
  t.equal(served(pace, 16_000, 5000), 1, 'nor is it lost')
  now = 3_600_000
  t.equal(served(pace, 21_000, 5000), 2000, 'what is not used does not add up for ever')
})

t.test('who was refused has not used up anything', async (t) => {
  let now = 0
  const pace = new Pace({ ...limits, burst: 1 }, () => now)
  t.ok(pace.take(laptop(1).serial))
  for (let count = 0; count < 20; count += 1) t.notOk(pace.take(laptop(2).serial))
  now = 20
  t.ok(pace.take(laptop(2).serial))
})
