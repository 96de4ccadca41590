import fc from 'fast-check'
import t from 'tap'
import { Pace } from '../../../../plugins/backup/admission/pace.js'
import { Queue } from '../../../../plugins/backup/admission/queue.js'
import { SteeredClock } from '../../../support/backup/steered-clock.js'
import { seededRandom } from '../../../support/seeded-random.js'

const day = 86_400_000

function school(slots = 1, seed = 1) {
  const clock = new SteeredClock()
  const queue = new Queue(slots, clock, seededRandom(seed))
  const daysAgo = (days: number) => clock.date() - days * day
  return { clock, queue, daysAgo }
}

t.test('the longest without a good backup comes first, and who never had one before all', (t) => {
  const { queue, daysAgo } = school()
  queue.wait('yesterday', daysAgo(1), 'told')
  queue.wait('last month', daysAgo(30), 'told')
  queue.wait('never', undefined, 'told')
  queue.wait('last week', daysAgo(7), 'told')
  queue.wait('last year', daysAgo(365), 'told')
  const order = ['never', 'last year', 'last month', 'last week', 'yesterday']
  t.strictSame(
    order.map((name) => queue.standingOf(name)?.place),
    [1, 2, 3, 4, 5],
  )
  t.equal(queue.size, 5)
  t.end()
})

t.test('who waits long moves up', async (t) => {
  const { clock, queue, daysAgo } = school()
  const began = clock.now()
  while (clock.now() - began < 70 * 60_000) await clock.advance(queue.wait('yesterday', daysAgo(1), 'told'))
  queue.wait('never', undefined, 'told')
  t.equal(queue.standingOf('yesterday')?.place, 1)
  t.equal(queue.standingOf('never')?.place, 2)
  t.ok(queue.oldestWait >= 4200_000)
})

t.test('who had slots and made nothing of them goes behind, until a backup goes well', async (t) => {
  const { queue, daysAgo } = school()
  queue.given('never ends')
  queue.wait('never ends', undefined, 'told')
  queue.wait('yesterday', daysAgo(1), 'told')
  t.equal(queue.standingOf('never ends')?.place, 1, 'once may happen to anybody')
  queue.given('never ends')
  queue.given('never ends')
  queue.wait('never ends', undefined, 'told')
  t.equal(queue.standingOf('never ends')?.place, 2)
  t.equal(queue.triesOf('never ends'), 3)
  queue.finished('never ends', 30_000)
  t.equal(queue.triesOf('never ends'), 0)
  t.equal(queue.standingOf('never ends'), undefined)
})

t.test('a free slot is left for a better placed laptop that comes in seconds, not in minutes', async (t) => {
  const { clock, queue, daysAgo } = school()
  const seconds = queue.wait('never', undefined, 'told')
  t.ok(seconds > 30, `it was told ${seconds} s`)
  t.ok(queue.isTurnOf('yesterday', daysAgo(1), 1), 'a slot must not lie idle')
  await clock.advance(seconds - 4)
  t.notOk(queue.isTurnOf('yesterday', daysAgo(1), 1))
  t.ok(queue.isTurnOf('yesterday', daysAgo(1), 2), 'one for each')
  t.ok(queue.isTurnOf('never', undefined, 1))
  await clock.advance(4 + 10)
  t.ok(queue.isTurnOf('yesterday', daysAgo(1), 1), 'it did not come')
  t.notOk(queue.isTurnOf('yesterday', daysAgo(1), 0))
})

t.test('who comes too early keeps its place and its time, and yields to those who are on time', async (t) => {
  const { clock, queue, daysAgo } = school()
  const polite = queue.wait('polite', undefined, 'told')
  const told = queue.wait('early', daysAgo(1), 'told')
  t.ok(told > 60)
  t.equal(queue.again('early'), told)
  await clock.advance(5)
  t.equal(queue.again('early'), told - 5, 'answered out of hand')
  t.equal(queue.again('polite'), polite - 5)
  await clock.advance(5)
  t.equal(queue.again('early'), undefined, 'looked at every ten seconds')
  t.equal(queue.wait('early', daysAgo(1), 'told'), told - 10)
  await clock.advance(polite - 35)
  t.notOk(queue.isTurnOf('early', daysAgo(1), 1))
  t.ok(queue.isTurnOf('on time', daysAgo(1), 1))
})

t.test('those who do not come back are forgotten', async (t) => {
  const { clock, queue } = school(8)
  const seconds = queue.wait('ana', undefined, 'told')
  await clock.advance(seconds + 31)
  t.equal(queue.size, 0, 'nobody counts on her')
  t.match(queue.standingOf('ana'), { place: 1, of: 1 }, 'but her wait is remembered for a while')
  await clock.advance(900)
  queue.wait('ben', undefined, 'told')
  t.notOk(queue.has('ana'))
})

t.test('laptops of OLPC XS are expected when they come by themselves', async (t) => {
  const { clock, queue } = school()
  const minutes: number[] = []
  for (let turn = 0; turn < 7; turn += 1) {
    const seconds = queue.wait('old', undefined, 'steps')
    minutes.push(seconds / 60)
    await clock.advance(seconds)
  }
  t.strictSame(minutes, [2, 4, 8, 16, 32, 64, 64])
  queue.wait('old', undefined, 'steps')
  await clock.advance(600)
  t.equal(queue.wait('old', undefined, 'steps'), 120, 'it began anew')
})

t.test('five thousand are remembered, and those after them told to come late', (t) => {
  const { queue } = school(8)
  for (let index = 0; index < 5000; index += 1) queue.wait(`laptop ${index}`, undefined, 'told')
  const seconds = queue.wait('one more', undefined, 'told')
  t.ok(seconds >= 1800 && seconds <= 3600)
  t.notOk(queue.has('one more'))
  for (let index = 0; index < 6000; index += 1) queue.given(`laptop ${index}`)
  t.equal(queue.triesOf('laptop 0'), 0, 'tries are bounded too')
  t.equal(queue.triesOf('laptop 5999'), 1)
  t.end()
})

t.test('times to come back are 10 s to an hour, whatever happened before', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.array(fc.double({ min: -1e9, max: 1e12, noNaN: true }), { maxLength: 50 }),
      fc.nat(10_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (slots, taken, place, random) => {
        const pace = new Pace(slots, () => random)
        for (const ms of taken) pace.took(ms)
        const seconds = pace.retryAfter(place)
        return Number.isInteger(seconds) && seconds >= 10 && seconds <= 3600
      },
    ),
  )
  const pace = new Pace(8, () => 0.5)
  t.equal(pace.usual, 60)
  for (const seconds of [20, 30, 3000]) pace.took(seconds * 1000)
  t.equal(pace.usual, 30, 'the median')
  t.equal(pace.retryAfter(79), 300)
  t.end()
})
