import fc from 'fast-check'
import t from 'tap'
import type { RequestError } from '../../../../core/api.js'
import { Slots, type Stay } from '../../../../plugins/backup/admission/slots.js'
import { SteeredClock, settle } from '../../../support/backup/steered-clock.js'
import { runs } from '../../../support/rounds.js'

const never = () => new AbortController().signal

function school(total: number) {
  const clock = new SteeredClock()
  return { clock, slots: new Slots(total, clock) }
}

/** Follows somebody who waits in line. */
function follow(waiting: Promise<Stay>) {
  const seen: { stay?: Stay; error?: RequestError } = {}
  waiting.then(
    (stay) => {
      seen.stay = stay
    },
    (error) => {
      seen.error = error
    },
  )
  return seen
}

t.test('thirty laptops are not promised one slot, and a promise lapses after a minute', async (t) => {
  const { clock, slots } = school(1)
  const told = Array.from({ length: 30 }, (_, index) => slots.reserve(`laptop ${index}`))
  t.strictSame(
    told.map((promised, index) => (promised ? index : -1)).filter((index) => index >= 0),
    [0],
  )
  await clock.advance(59)
  t.notOk(slots.reserve('laptop 1'))
  await clock.advance(1)
  t.ok(slots.reserve('laptop 1'))
  t.strictSame(slots.figures(), { total: 1, running: 0, reserved: 1, waiting: 0 })
})

t.test('who asks again keeps the slot, but not for ever without coming', async (t) => {
  const { clock, slots } = school(1)
  slots.reserve('ana')
  for (let turn = 0; turn < 4; turn += 1) {
    await clock.advance(40)
    t.ok(slots.reserve('ana'))
    t.notOk(slots.reserve('ben'))
  }
  await clock.advance(20)
  t.ok(slots.reserve('ben'), 'three minutes are over')
})

t.test('a transfer runs on its reservation, which is respected by all others', async (t) => {
  const { clock, slots } = school(2)
  slots.reserve('ana')
  slots.reserve('ben')
  const carla = follow(slots.enter('carla', never()))
  await settle()
  t.equal(carla.stay, undefined)
  const ana = await slots.enter('ana', never())
  t.ok(slots.reserve('ana'), 'she is taken care of')
  t.strictSame(slots.figures(), { total: 2, running: 1, reserved: 1, waiting: 1 })
  await clock.advance(59)
  t.equal(carla.stay, undefined)
  await clock.advance(1)
  t.ok(carla.stay, 'ben did not come in time')
  ana.leave()
  ana.leave()
  t.strictSame(slots.figures(), { total: 2, running: 1, reserved: 0, waiting: 0 }, 'freed once')
})

t.test('those who wait are let in by their order, and not for longer than a minute', async (t) => {
  const { clock, slots } = school(1)
  const ana = await slots.enter('ana', never())
  const hangUp = new AbortController()
  const ben = follow(slots.enter('ben', hangUp.signal))
  const carla = follow(slots.enter('carla', never()))
  const dan = follow(slots.enter('dan', never()))
  hangUp.abort()
  await settle()
  t.match(ben.error, { code: 'UNAVAILABLE' })
  ana.leave()
  await settle()
  t.ok(carla.stay)
  t.equal(dan.stay, undefined)
  await clock.advance(60)
  t.match(dan.error, { code: 'UNAVAILABLE', hint: /minutes/ })
  t.strictSame(slots.figures(), { total: 1, running: 1, reserved: 0, waiting: 0 })
  carla.stay?.leave()
  t.equal(clock.pending, 0, 'nothing is left ticking')
  await t.rejects(slots.enter('eva', AbortSignal.abort()), { code: 'UNAVAILABLE' })
})

t.test(
  'an old laptop that comes four times in a row keeps its slot between, unless somebody waits or asks',
  async (t) => {
    const { clock, slots } = school(1)
    slots.reserve('ana')
    for (let session = 0; session < 4; session += 1) {
      const stay = await slots.enter('ana', never())
      stay.leave()
      await clock.advance(2)
    }
    t.ok(slots.reserve('ben'), 'whoever asks need not wait for nobody')
    const late = follow(slots.enter('ana', never()))
    await settle()
    t.equal(late.stay, undefined, 'she stands in line now')
    await clock.advance(60)
    t.ok(late.stay, 'and ben did not come')
    late.stay?.leave()
    t.ok(slots.reserve('ben'))
    const stay = await slots.enter('ben', never())
    stay.leave()
    const carla = follow(slots.enter('carla', never()))
    await settle()
    t.ok(carla.stay, 'given away')
  },
)

t.test('nobody holds a slot for ever by coming again and again', async (t) => {
  const { slots } = school(1)
  slots.reserve('ana')
  let sessions = 0
  for (; sessions < 100 && !slots.reserve('ben'); sessions += 1) (await slots.enter('ana', never())).leave()
  t.equal(sessions, 1)
})

t.test('those who come without asking leave half of the slots to those who ask', async (t) => {
  const { clock, slots } = school(4)
  const rude = await Promise.all(['a', 'b', 'c', 'd'].map((uid) => slots.enter(uid, never())))
  t.notOk(slots.reserve('polite'))
  const line = ['e', 'f', 'g', 'h'].map((uid) => follow(slots.enter(uid, never())))
  rude[0]?.leave()
  rude[1]?.leave()
  await settle()
  t.equal(line.filter(({ stay }) => stay).length, 0)
  t.ok(slots.reserve('polite'), 'its turn, though four stand in line')
  rude[2]?.leave()
  await settle()
  t.equal(line.filter(({ stay }) => stay).length, 1)
  await clock.advance(60)
  t.equal(line.filter(({ error }) => error).length, 3)
  await clock.advance(60)
  const late = follow(slots.enter('i', never()))
  await settle()
  t.ok(late.stay, 'once nobody asks in vain any more, whatever is free is theirs')
})

t.test('the line is short, and nobody fills it alone', async (t) => {
  const { clock, slots } = school(1)
  await slots.enter('ana', never())
  const line = Array.from({ length: 200 }, (_, index) => follow(slots.enter(`laptop ${index}`, never())))
  await t.rejects(slots.enter('ben', never()), { code: 'UNAVAILABLE', hint: /half an hour/ })
  await clock.advance(60)
  t.equal(line.filter(({ error }) => error?.hint).length, 200)
  const four = Array.from({ length: 4 }, () => follow(slots.enter('ben', never())))
  await t.rejects(slots.enter('ben', never()), { code: 'UNAVAILABLE', hint: /wait/ })
  await clock.advance(60)
  t.equal(four.filter(({ error }) => error).length, 4)
})

t.test('a reservation that comes while its learner stands in line lets it in', async (t) => {
  const { slots } = school(2)
  const stays = await Promise.all([slots.enter('a', never()), slots.enter('b', never())])
  slots.reserve('other')
  const ana = follow(slots.enter('ana', never()))
  stays[0]?.leave()
  await settle()
  t.equal(ana.stay, undefined, 'one of two is for those who ask')
  t.ok(slots.reserve('ana'))
  await settle()
  t.ok(ana.stay)
})

t.test('whatever happens, there are never more transfers and promises than slots', async () => {
  const step = fc.oneof(
    fc.record({ does: fc.constant('reserve' as const), uid: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ does: fc.constant('enter' as const), uid: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ does: fc.constant('leave' as const), which: fc.nat(20) }),
    fc.record({ does: fc.constant('hang up' as const), which: fc.nat(20) }),
    fc.record({ does: fc.constant('advance' as const), seconds: fc.integer({ min: 1, max: 70 }) }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(step, { maxLength: 60 }),
      async (total, steps) => {
        const { clock, slots } = school(total)
        const stays: Stay[] = []
        const calls: AbortController[] = []
        for (const step of steps) {
          if (step.does === 'reserve') slots.reserve(String(step.uid))
          else if (step.does === 'advance') await clock.advance(step.seconds)
          else if (step.does === 'leave') stays.splice(step.which % (stays.length || 1), 1)[0]?.leave()
          else if (step.does === 'hang up') calls[step.which % (calls.length || 1)]?.abort()
          else {
            const call = new AbortController()
            calls.push(call)
            slots.enter(String(step.uid), call.signal).then(
              (stay) => stays.push(stay),
              () => {},
            )
          }
          await settle()
          const { running, reserved } = slots.figures()
          if (running !== stays.length || running + reserved > total) return false
        }
        for (const stay of stays) stay.leave()
        await clock.advance(300)
        for (const stay of stays) stay.leave()
        await clock.advance(300)
        const { reserved, waiting } = slots.figures()
        return reserved === 0 && waiting === 0 && clock.pending === 0
      },
    ),
    runs(150),
  )
})
