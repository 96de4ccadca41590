import fc from 'fast-check'
import t from 'tap'
import { Admission, type Facts } from '../../../../plugins/backup/admission/admission.js'
import { parseQuestion } from '../../../../plugins/backup/admission/question.js'
import { Slots } from '../../../../plugins/backup/admission/slots.js'
import { SteeredClock, settle } from '../../../support/backup/steered-clock.js'
import { seededRandom } from '../../../support/seeded-random.js'

const uidOf = (index: number) => index.toString(16).padStart(40, '0')
const uuidOf = (index: number) => `00000000-0000-4000-8000-${index.toString(16).padStart(12, '0')}`
const never = () => new AbortController().signal

/** Learner n has uuid n and serial SHC0n; everything may be changed on the way. */
function school(total = 1, changes: Partial<Facts> = {}) {
  const clock = new SteeredClock()
  const slots = new Slots(total, clock)
  const looked: string[] = []
  const facts: Facts = {
    learners: async (who) => {
      looked.push(who)
      const index = /^SHC0*(\d+)$/.exec(who)?.[1] ?? Number.parseInt(who.slice(-12), 16)
      return Number(index) > 5000 ? [] : [{ uid: uidOf(Number(index)) }]
    },
    lastGood: () => undefined,
    digest: () => undefined,
    refusal: () => undefined,
    space: async () => undefined,
    away: async () => undefined,
    load: () => 0,
    draining: () => false,
    ...changes,
  }
  const admission = new Admission(facts, slots, 5, { clock, random: seededRandom(3) })
  const ask = (who: string | number, more: { form?: 'serial'; digest?: string; peek?: boolean } = {}) =>
    admission.decide({
      who: typeof who === 'number' ? uuidOf(who) : who,
      form: 'uuid',
      address: '10.0.0.1',
      ...more,
    })
  return { clock, slots, facts, admission, ask, looked }
}

t.test('a laptop may begin, the next one waits, and both can be explained', async (t) => {
  const { clock, slots, admission, ask } = school()
  t.equal(admission.explain(uidOf(1)), 'does not wait')
  t.match(await ask(1), { kind: 'go', status: 200 })
  t.match(await ask(1), { kind: 'go', status: 200 }, 'kept for it')
  t.equal(admission.explain(uidOf(1)), 'may begin; a slot is kept for 60 s')
  const told = await ask(2)
  t.match(told, { kind: 'wait', status: 503, retryAfter: Number, reason: /try again later/ })
  t.ok((told.retryAfter ?? 0) >= 10)
  const stay = await slots.enter(uidOf(1), never())
  t.equal(admission.explain(uidOf(1)), 'a transfer runs')
  t.match(await ask(1), { kind: 'go' })
  await clock.advance(12)
  t.equal(
    admission.explain(uidOf(2)),
    `has waited for 12 s, number 1 of 1, expected back in ${(told.retryAfter ?? 0) - 12} s`,
  )
  t.strictSame(admission.status(), {
    slots: 1,
    running: 1,
    reserved: 0,
    inLine: 0,
    waiting: 1,
    oldestWait: 12,
    asked: { go: 3, wait: 1 },
  })
  stay.leave()
  admission.finished(uidOf(1), 20_000)
  await clock.advance((told.retryAfter ?? 0) - 12)
  t.match(await ask('SHC02', { form: 'serial' }), { kind: 'go' }, 'by whatever name it asks')
  await clock.advance(120)
  await ask(3)
  await clock.advance(120)
  t.equal(admission.explain(uidOf(3)), 'does not wait; had a slot once without a good backup since')
  await ask(3)
  await clock.advance(61)
  t.match(admission.explain(uidOf(3)), /had a slot 2 times/)
  await ask(4)
  await ask(3)
  await clock.advance(5000)
  t.match(
    admission.explain(uidOf(3)),
    /has waited for 83 min, number 1 of 1, expected back \d+ min ago; had a slot/,
  )
})

t.test('names are checked before anything else is looked at', async (t) => {
  const { ask, looked, admission } = school(1, { draining: () => true, load: () => 99 })
  const wrong = [
    '',
    'x',
    '../..',
    `${uuidOf(1)}\n`,
    uuidOf(1).replace('0', '٠'),
    '0'.repeat(41),
    'SHC00000001',
  ]
  for (const who of wrong) t.match(await ask(who), { kind: 'malformed', status: 400 }, JSON.stringify(who))
  for (const who of ['', '-a', 'a b', 'ä', 'a'.repeat(33), '../x', 'SHC0\n'])
    t.match(await ask(who, { form: 'serial' }), { kind: 'malformed', status: 400 }, JSON.stringify(who))
  for (const digest of ['', 'a'.repeat(63), `${'a'.repeat(64)}\n`, 'g'.repeat(64)])
    t.match(await ask(1, { digest }), { kind: 'malformed', status: 400 })
  t.strictSame(looked, [])
  t.match(await ask(6000), { kind: 'unknown', status: 404 }, 'strangers are not told to come back')
  t.match(await ask(uidOf(7)), { kind: 'stopping', status: 503 }, 'a uid will do')
  t.strictSame(admission.status().asked, { malformed: 18, unknown: 1, stopping: 1 })
})

t.test('whatever a laptop calls itself, what passes is short, plain and one spelling', async () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.constantFrom('uuid', 'serial'),
      (who, form) => {
        const sound = parseQuestion({ who, form, address: '' })
        return sound === undefined || /^(uuid|serial) [a-z0-9_-]{1,40}$/.test(sound.word)
      },
    ),
  )
  fc.assert(
    fc.property(fc.uuid(), (who) => {
      const upper = parseQuestion({ who: who.toUpperCase(), form: 'uuid', address: '' })
      return upper?.word === parseQuestion({ who, form: 'uuid', address: '' })?.word
    }),
  )
})

t.test('the reasons to say no have an order, and each its time to come back', async (t) => {
  let draining = true
  let digest: string | undefined = 'a'.repeat(64)
  let refusal: string | undefined = 'your Journal is larger than your share; ask your teacher'
  let load = 6
  let space: string | undefined = 'only 1 % is free'
  const { clock, ask, admission } = school(1, {
    draining: () => draining,
    digest: () => digest,
    refusal: () => refusal,
    load: () => load,
    space: async () => space,
  })
  const asked = { digest: 'A'.repeat(64) }
  const within = async (kind: string, from: number, to: number) => {
    const verdict = await ask(1, asked)
    t.match(verdict, { kind, status: 503 })
    const { retryAfter = 0 } = verdict
    t.ok(retryAfter >= from && retryAfter <= to, `${kind}: ${retryAfter} s`)
    return verdict
  }
  await within('stopping', 30, 90)
  draining = false
  t.strictSame(await ask(1, asked), { kind: 'have', status: 204, reason: 'this Journal is kept already' })
  digest = 'b'.repeat(64)
  t.equal((await within('refused', 3600, 3600)).reason, refusal)
  refusal = undefined
  const { retryAfter = 0 } = await within('load', 10, 3600)
  load = 5
  await clock.advance(retryAfter)
  t.notMatch((await within('space', 1800, 3600)).reason, '1 %', 'the disk is no business of a laptop')
  space = undefined
  await clock.advance(3)
  t.match(await ask(1, asked), { kind: 'go' })
  t.equal(admission.status().waiting, 0)
})

t.test('a disk that fails or hangs is a full one, and asked once for all', async (t) => {
  let asked = 0
  let answer: Promise<undefined> = new Promise(() => {})
  const { clock, ask } = school(1, {
    space: () => {
      asked += 1
      return answer
    },
  })
  const all = Promise.all([ask(1), ask(2), ask(3)])
  await settle()
  await clock.advance(5)
  for (const verdict of await all) t.match(verdict, { kind: 'space', status: 503 })
  const more = ask(4)
  await settle()
  await clock.advance(5)
  t.match(await more, { kind: 'space' })
  t.equal(asked, 1)

  answer = Promise.reject(new Error('gone'))
  const other = school(1, { space: () => answer })
  t.match(await other.ask(1), { kind: 'space', status: 503 })
})

t.test('a laptop that asks at once again is answered from memory and keeps its place', async (t) => {
  const { clock, ask, admission, looked } = school()
  await ask(1)
  const { retryAfter = 0 } = await ask(2)
  await ask(3)
  const before = looked.length
  for (let second = 1; second <= 9; second += 1) {
    await clock.advance(1)
    t.match(await ask(2), { kind: 'again', status: 503, retryAfter: Math.max(10, retryAfter - second) })
  }
  t.equal(looked.length, before)
  t.match(admission.explain(uidOf(2)), 'number 1 of 2')
})

t.test('a flood from one address does not keep out the class behind the same router', async (t) => {
  const { clock, ask, admission } = school(8)
  const told = await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index + 1)))
  for (let index = 0; index < 3000; index += 1) await ask(6000 + index)
  const { unknown = 0, flood = 0 } = admission.status().asked
  t.equal(unknown, 1160)
  t.equal(flood, 1840)
  t.match(await ask(100), { kind: 'flood', status: 503, retryAfter: Number })
  const waits = told.findIndex(({ kind }) => kind === 'wait')
  await clock.advance(told[waits]?.retryAfter ?? 0)
  for (let index = 0; index < 3000; index += 1) await ask(6000 + index)
  t.match(await ask(waits + 1), { status: /200|503/, kind: /go|wait/ }, 'looked at in earnest')
})

t.test('machines that share a uuid share a place, and no slot is kept for them', async (t) => {
  const { slots, ask, clock } = school(1, { learners: async () => [{ uid: uidOf(1) }, { uid: uidOf(2) }] })
  t.match(await ask(0), { kind: 'go', status: 200 })
  t.match(await ask(0, { digest: 'a'.repeat(64) }), { kind: 'go', status: 200 })
  t.strictSame(slots.figures(), { total: 1, running: 0, reserved: 0, waiting: 0 })
  await slots.enter(uidOf(1), never())
  const seconds = new Set<number | undefined>()
  for (let index = 0; index < 20; index += 1) {
    const { status, retryAfter } = await ask(0)
    t.equal(status, 503)
    seconds.add(retryAfter)
    await clock.advance(1)
  }
  t.ok(seconds.size > 10, 'they do not come back in the same second')
})

t.test('who has just been served does not get the slot again before those who wait', async (t) => {
  const { clock, slots, ask, admission, facts } = school()
  let lastGood: number | undefined
  facts.lastGood = (uid) => (uid === uidOf(1) ? lastGood : undefined)
  await ask(1)
  const { retryAfter = 0 } = await ask(2)
  const stay = await slots.enter(uidOf(1), never())
  await clock.advance(retryAfter - 3)
  stay.leave()
  lastGood = clock.date()
  admission.finished(uidOf(1), 20_000)
  t.match(await ask(1), { kind: 'wait' })
  await clock.advance(5)
  t.match(await ask(2), { kind: 'go' })
  const other = await slots.enter(uidOf(2), never())
  other.leave()
  t.match(await ask(2), { kind: 'go' }, 'when nobody else is due, it does')
})

t.test('to look is not to ask', async (t) => {
  const { slots, ask, admission } = school()
  for (let index = 1; index < 9; index += 1) t.match(await ask(index, { peek: true }), { kind: 'go' })
  t.equal(slots.figures().reserved, 0)
  await ask(1)
  t.match(await ask(1, { peek: true }), { kind: 'go' })
  t.match(await ask(2, { peek: true }), { kind: 'wait', status: 503 })
  t.equal(admission.status().waiting, 0)
  t.strictSame(admission.status().asked, { go: 1 })
})
