import t, { type Test } from 'tap'
import type { NedbStore } from '../../../../core/store/nedb/store.js'
import { SchoolCalendar } from '../../../../plugins/activation/calendar/calendar.js'
import { Clock, made } from '../../../../plugins/activation/calendar/clock.js'
import { LeaseEnds } from '../../../../plugins/activation/calendar/ends.js'
import type { Answer } from '../../../../plugins/activation/decision/answer.js'
import { Decision } from '../../../../plugins/activation/decision/decision.js'
import { Planner } from '../../../../plugins/activation/decision/planner.js'
import { collections } from '../../../../plugins/activation/documents.js'
import type { Change } from '../../../../plugins/activation/roll/change.js'
import { mostLaptops } from '../../../../plugins/activation/roll/entry.js'
import type { Roll } from '../../../../plugins/activation/roll/roll.js'
import { Visits } from '../../../../plugins/activation/roll/visits.js'
import { built } from '../../../../plugins/keyring/clock/built.js'
import { checkLease, formatMoment, type Moment, never } from '../../../../plugins/keyring/public.js'
import {
  chainedLease,
  DeskKeyring,
  inDays,
  laptop,
  leaseOf,
  log,
  master,
  ready,
  rogue,
  rollOf,
  server,
} from '../../../support/activation/activation-school.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

const one = laptop(1)
const other = laptop(2)

interface Desk {
  readonly roll: Roll
  readonly planner: Planner
  readonly visits: Visits
  readonly store: NedbStore
  readonly decision: Decision
}

interface DeskSpec {
  readonly days?: number
  /** One to come back to. */
  readonly root?: string
  /** Goes where there is no keyring. */
  readonly clock?: Pick<Clock, 'now'>
}

async function desk(
  t: Pick<Test, 'teardown'>,
  keyring: DeskKeyring | undefined,
  changes: readonly Change[],
  { days = 21, root, clock = { now: () => new Date() } }: DeskSpec = {},
): Promise<Desk> {
  const { roll, store } = await rollOf(t, root)
  await roll.apply(changes)
  const calendar = SchoolCalendar.parse(['mon', 'tue', 'wed', 'thu', 'fri'], [])
  const visits = await Visits.open(await store.open('activation/visits', collections.visits), roll, log)
  const planner = new Planner({ roll, keyring, visits, clock, ends: new LeaseEnds(calendar), days, log })
  return { roll, planner, visits, store, decision: new Decision(planner, keyring, visits, log) }
}

const known: Change = { serial: one.serial, laptop: { uuid: one.uuid } }

/** The lease of an answer; '' when it is none. */
const lineOf = (answer: Answer): string => (answer.kind === 'lease' ? answer.line : '')

function verdictOf(line: string, at = inDays(0), { serial, uuid } = one): string {
  return checkLease(line, { serial, uuid, at, trusted: [master.public] }).verdict
}

t.test('of what is ready and what can be signed the laptop gets what lasts longest', async (t) => {
  for (const [days, from] of [
    [10, 'fresh'],
    [60, 'stored'],
  ] as const) {
    const keyring = new DeskKeyring()
    const { decision } = await desk(t, keyring, [known, ready(one.serial, one.uuid, inDays(days))])
    const answer = await decision.answer(one.serial)
    t.match(answer, { kind: 'lease', from }, `a ready one of ${days} days beside fresh ones of 21`)
    t.equal(verdictOf(lineOf(answer)), 'valid')
    t.equal(keyring.signed.length, from === 'fresh' ? 1 : 0, 'and nothing is signed in vain')
  }
  const { decision } = await desk(t, new DeskKeyring(), [known, ready(one.serial, one.uuid, never)])
  t.match(
    await decision.answer(one.serial),
    { from: 'stored', until: never },
    'nothing lasts longer than for ever',
  )
})

t.test('a lease is as long as is said for the laptop, its group, its school, or for all', async (t) => {
  const { roll, planner } = await desk(t, new DeskKeyring(), [known])
  const ends = async (): Promise<number> => {
    const until = planner.plan(one.serial, new Date()).order?.expiry ?? ''
    return Math.round(
      (Date.parse(until.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z')) - Date.now()) /
        86_400_000,
    )
  }
  // A weekend and the hour of the day may add up to three days.
  const isAbout = (found: number, days: number) =>
    t.ok(found >= days && found <= days + 3, `${found}, ${days} days`)
  isAbout(await ends(), 21)
  await roll.apply([{ serial: one.serial, laptop: { school: 'North', group: 'Teachers' } }])
  isAbout(await ends(), 21)
  await roll.setGroup('North', 40)
  isAbout(await ends(), 40)
  await roll.setGroup('Teachers', 90)
  isAbout(await ends(), 90)
  await roll.apply([{ serial: one.serial, laptop: { days: 5 } }])
  isAbout(await ends(), 5)
  await roll.apply([{ serial: one.serial, laptop: { days: null, group: null } }])
  await roll.setGroup('North', undefined)
  isAbout(await ends(), 21)
})

t.test('a stolen laptop gets nothing else than that word, whatever is there for it', async (t) => {
  const theft = { serial: one.serial, reason: 'gone', at: new Date().toISOString() }
  const keyring = new DeskKeyring()
  const { roll, decision } = await desk(t, keyring, [known, { ...ready(one.serial, one.uuid, never), theft }])
  t.match(await decision.answer(one.serial), { kind: 'stolen' })
  t.match(await decision.unlocker(one.serial, 1), { why: 'it is stolen' })
  t.match(await decision.prospect(one.serial), { kind: 'stolen' })
  await roll.apply([{ serial: one.serial, theft: { ...theft, recovered: new Date().toISOString() } }])
  t.match(await decision.answer(one.serial), { kind: 'lease' }, 'until it is back')
  t.same(keyring.signed, [])
})

t.test('a laptop that is said to be stolen while its lease is being signed does not get it', async (t) => {
  const keyring = new DeskKeyring()
  const { roll, decision } = await desk(t, keyring, [known])
  const theft = { serial: one.serial, reason: 'now', at: new Date().toISOString() }
  keyring.before = () => roll.apply([{ serial: one.serial, theft }])
  t.match(await decision.answer(one.serial), { kind: 'stolen' })
  await roll.apply([{ serial: one.serial, theft: { ...theft, recovered: theft.at } }])
  keyring.before = () => roll.apply([{ serial: one.serial, theft }])
  t.match(await decision.unlocker(one.serial, 1), { why: 'it is stolen' })
})

t.test('nor does it get a ready one, when nothing could be signed and it is stolen by then', async (t) => {
  const keyring = new DeskKeyring()
  const { roll, decision } = await desk(t, keyring, [known, ready(one.serial, one.uuid, inDays(3))])
  const theft = { serial: one.serial, reason: 'now', at: new Date().toISOString() }
  keyring.before = async () => {
    await roll.apply([{ serial: one.serial, theft }])
    throw new Error('the signer is gone')
  }
  t.match(await decision.answer(one.serial), { kind: 'stolen' })
})

t.test('nothing signed here lasts longer than the delegation it stands on', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  const until = inDays(5)
  keyring.delegate(one.serial, one.uuid, until)
  const { decision } = await desk(t, keyring, [])
  const answer = await decision.answer(one.serial)
  t.match(
    answer,
    { kind: 'lease', from: 'fresh', until },
    'with the uuid of the delegation, on no list at all',
  )
  t.equal(verdictOf(lineOf(answer)), 'valid')
  t.equal(verdictOf(lineOf(answer), inDays(6)), 'invalid')
  for (const late of [inDays(-1), inDays(0.5 / 24)]) {
    keyring.delegate(one.serial, one.uuid, late)
    const { decision } = await desk(t, keyring, [])
    t.match(await decision.answer(one.serial), { kind: 'nothing', why: /the right to sign for it ends/ })
    t.match(await decision.unlocker(one.serial, 1), { why: /the right to sign for it ends/ })
  }
})

t.test('an expired lease is never given, nor one of a key that is compromised', async (t) => {
  const { decision, roll } = await desk(t, undefined, [ready(one.serial, one.uuid, inDays(-0.1))])
  t.match(await decision.answer(one.serial), { kind: 'nothing', why: /the ready one has run out/ })
  await roll.apply([ready(one.serial, one.uuid, inDays(3), rogue)])
  t.match(await decision.answer(one.serial), { kind: 'lease' }, 'without a keyring no key is known as bad')

  const keyring = new DeskKeyring()
  keyring.known = [master.public, rogue.public]
  const judged = await desk(t, keyring, [ready(one.serial, one.uuid, inDays(3), rogue)])
  t.match(await judged.decision.answer(one.serial), { kind: 'lease' })
  keyring.compromise(rogue.public)
  t.match(await judged.decision.answer(one.serial), {
    kind: 'nothing',
    why: /key of the ready one is compromised/,
  })
  t.match(await judged.decision.unlocker(one.serial, 1), { why: /key of the ready one is compromised/ })
  keyring.known = []
  t.match(await judged.decision.answer(one.serial), { kind: 'nothing' }, 'nor when it was the only key')
})

t.test('a lease of a key that nobody here knows is given when there is no other', async (t) => {
  const keyring = new DeskKeyring()
  const { roll, decision } = await desk(t, keyring, [ready(one.serial, one.uuid, inDays(90), rogue)])
  t.match(await decision.answer(one.serial), {
    kind: 'lease',
    from: 'stored',
    why: /of a key that is not known here; no uuid of it is known/,
  })
  t.match(await decision.unlocker(one.serial, 1), { from: 'stored' })
  await roll.apply([known])
  t.match(await decision.answer(one.serial), { from: 'fresh' }, 'not where one can be signed')
  keyring.why = 'the clock says 1970'
  t.match(await decision.unlocker(one.serial, 1), { from: 'stored' })
  const until = inDays(2)
  const sig02 = { line: chainedLease(one.serial, one.uuid, until, until), until }
  const stock = { ...ready(one.serial, one.uuid, inDays(90), rogue).stock, serial: one.serial, sig02 }
  const both = await desk(t, keyring, [{ serial: one.serial, stock }])
  t.match(await both.decision.answer(one.serial), { until }, 'nor where one of a known key is there')
})

t.test('what was taken unchecked is looked at once its key or its uuid is known', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.known = []
  const [soon, late] = [inDays(5), inDays(90)]
  const sig01 = { line: leaseOf(one.serial, one.uuid, soon), until: soon }
  const chained = chainedLease(one.serial, one.uuid, late, never)
  const sig02 = { line: `${chained.slice(0, -4)}0000`, until: late }
  const stock = { serial: one.serial, sig01, sig02 }
  const { roll, decision } = await desk(t, keyring, [{ serial: one.serial, stock }])
  t.match(await decision.answer(one.serial), { until: late }, 'nobody can say that it is bad')
  keyring.known = [master.public]
  t.match(await decision.answer(one.serial), { until: late }, 'without a uuid neither')
  await roll.apply([known])
  t.match(await decision.answer(one.serial), { until: soon }, 'the good one, though it ends sooner')
  await roll.apply([{ serial: one.serial, stock: { serial: one.serial, sig02 } }])
  t.match(await decision.answer(one.serial), { kind: 'nothing', why: /was changed, or is for another uuid/ })
  const broken = { ...sig02, line: sig02.line.replace(/(sig02: sha256 \S+ \S+ )..../, '$10000') }
  const linked = await desk(t, keyring, [
    { serial: one.serial, stock: { serial: one.serial, sig02: broken } },
  ])
  t.match(
    await linked.decision.answer(one.serial),
    { kind: 'nothing' },
    'a chain is looked at without a uuid',
  )
})

t.test('a lease that was signed here is not given any more once its key is compromised', async (t) => {
  const keyring = new DeskKeyring()
  const { decision } = await desk(t, keyring, [known])
  await decision.answer(one.serial)
  keyring.compromise(master.public)
  await decision.answer(one.serial)
  t.equal(keyring.signed.length, 2, 'it is signed anew, with what the keyring now signs with')
})

t.test('nor is one that stands on a delegation, when the key of that is compromised', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, one.uuid, never)
  const { decision } = await desk(t, keyring, [])
  await decision.answer(one.serial)
  keyring.compromise(server.public)
  t.ok(keyring.known.includes(master.public), 'or of any other of its links')
  await decision.answer(one.serial)
  t.equal(keyring.signed.length, 2)
})

t.test('old firmware is given a sig01 only, all others what lasts longest', async (t) => {
  const [early, late] = [inDays(10), inDays(20)]
  const stock = {
    serial: one.serial,
    sig01: { line: leaseOf(one.serial, one.uuid, early), until: early },
    sig02: { line: chainedLease(one.serial, one.uuid, late, never), until: late },
  }
  const { roll, decision } = await desk(t, undefined, [{ ...known, stock }])
  t.match(await decision.answer(one.serial), { line: / sig02: /, until: late })
  await roll.apply([{ serial: one.serial, laptop: { old: true } }])
  t.match(await decision.answer(one.serial), { line: / sig01: /, until: early })
  await roll.apply([{ serial: one.serial, stock: { serial: one.serial, sig02: stock.sig02 } }])
  t.match(await decision.answer(one.serial), { kind: 'nothing', why: /sig02, which it cannot read/ })

  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, one.uuid, never)
  const signing = await desk(t, keyring, [{ serial: one.serial, laptop: { old: true } }])
  t.match(await signing.decision.answer(one.serial), { kind: 'nothing', why: /knows only sig01/ })
  keyring.isMaster = true
  await signing.roll.apply([{ serial: one.serial, laptop: { uuid: one.uuid } }])
  t.match(
    await signing.decision.answer(one.serial),
    { kind: 'lease', line: / sig01: / },
    "a master's key signs sig01",
  )
})

t.test('without a keyring, a key, or a uuid, ready leases are given, and why is said', async (t) => {
  const stock = ready(one.serial, one.uuid, inDays(5))
  const none = await desk(t, undefined, [stock])
  t.match(await none.decision.answer(one.serial), { from: 'stored', why: /there is no keyring/ })
  t.match(await none.decision.answer(other.serial), {
    kind: 'nothing',
    why: /none came ready, and there is no keyring/,
  })

  const keyring = new DeskKeyring()
  keyring.isMaster = false
  const keyless = await desk(t, keyring, [stock])
  t.match(await keyless.decision.answer(one.serial), {
    from: 'stored',
    why: /neither a key nor a delegation/,
  })
  keyring.isMaster = true
  t.match(await keyless.decision.answer(one.serial), { from: 'stored', why: /no uuid of it is known/ })
  t.match(await keyless.decision.unlocker(one.serial, 1), { from: 'stored' })
})

t.test('a clock of 1970 signs nothing, and keeps no ready lease back', async (t) => {
  const keyring = new DeskKeyring()
  keyring.why = 'the clock says 1970, which is before this program was built'
  keyring.time = () => new Date('2026-11-01T00:00:00Z')
  const stock = ready(one.serial, one.uuid, '20270301T000000Z')
  const { decision } = await desk(t, keyring, [known, { serial: other.serial, laptop: { uuid: other.uuid } }])
  t.match(await decision.answer(other.serial), { kind: 'nothing', why: /the clock says 1970/ })
  const both = await desk(t, keyring, [known, ready(one.serial, one.uuid, '20261110T000000Z')])
  t.match(await both.decision.answer(one.serial), { from: 'stored', why: /the clock says 1970/ })
  t.match(await both.decision.prospect(one.serial), { kind: 'lease', why: /the clock says 1970/ })
  t.match(await both.decision.unlocker(one.serial, 1), { from: 'stored' })
  keyring.time = () => new Date('2027-01-01T00:00:00Z')
  t.match(await both.decision.answer(one.serial), { kind: 'nothing' }, 'what time it is, the keyring says')
  await both.roll.apply([stock])
  t.match(await both.decision.answer(one.serial), { from: 'stored' })
})

t.test('a signer that breaks keeps no ready lease back, and tells nobody what broke', async (t) => {
  const keyring = new DeskKeyring()
  keyring.before = () => Promise.reject(new Error(`cannot read /keys/${one.uuid}`))
  const { decision } = await desk(t, keyring, [known, ready(one.serial, one.uuid, inDays(5))])
  const answer = await decision.answer(one.serial)
  t.match(answer, { from: 'stored', why: /the log says why/ })
  t.notMatch(JSON.stringify(answer), one.uuid)
})

t.test('a laptop that asks a hundred times costs one signature, until another would be due', async (t) => {
  const keyring = new DeskKeyring()
  let now = new Date('2026-11-20T08:00:00')
  keyring.time = () => now
  const { roll, decision } = await desk(t, keyring, [known])
  const answers = await Promise.all(Array.from({ length: 100 }, () => decision.answer(one.serial)))
  t.equal(new Set(answers.map(lineOf)).size, 1)
  t.equal(keyring.signed.length, 1, 'at once')
  await decision.answer(one.serial)
  now = new Date('2026-11-20T20:00:00')
  await decision.answer(one.serial)
  t.equal(keyring.signed.length, 1, 'and one after the other')
  now = new Date('2026-11-21T08:00:00')
  const later = await decision.answer(one.serial)
  t.equal(keyring.signed.length, 1, 'Saturday, whose leases end on that Monday, too')
  now = new Date('2026-11-25T08:00:00')
  t.not(lineOf(await decision.answer(one.serial)), lineOf(later))
  t.equal(keyring.signed.length, 2, 'a week later the end is another')
  await roll.apply([{ serial: one.serial, laptop: { uuid: other.uuid } }])
  const mended = lineOf(await decision.answer(one.serial))
  t.equal(verdictOf(mended, formatMoment(now), { serial: one.serial, uuid: other.uuid }), 'valid')
  t.equal(keyring.signed.length, 3, 'a uuid that was mended needs another signature')
  keyring.isMaster = false
  keyring.delegate(one.serial, other.uuid, never)
  t.match(
    await decision.answer(one.serial),
    { line: mended },
    'another key does not: what it signed still counts',
  )
  keyring.compromise(master.public)
  t.match(await decision.answer(one.serial), { line: / sig02: / }, 'unless that is compromised')
})

t.test('what was signed before is given again while nothing can be signed', async (t) => {
  const keyring = new DeskKeyring()
  let now = new Date('2026-11-20T08:00:00')
  keyring.time = () => now
  const { roll, decision } = await desk(t, keyring, [known])
  const first = lineOf(await decision.answer(one.serial))
  now = new Date('2026-11-25T08:00:00')
  keyring.why = 'the audit log cannot be written'
  t.match(await decision.answer(one.serial), { line: first, why: /signed here before; the audit log/ })
  t.match(await decision.prospect(one.serial), { kind: 'lease', why: /signed here before/ })
  await roll.apply([{ serial: one.serial, laptop: { days: 3 } }])
  t.match(await decision.answer(one.serial), { line: first }, 'though its leases are to be shorter now')
  await roll.apply([{ serial: one.serial, laptop: { days: null, uuid: other.uuid } }])
  t.match(await decision.answer(one.serial), { kind: 'nothing' }, 'but not when its uuid is another')
  await roll.apply([{ serial: one.serial, laptop: { uuid: one.uuid } }])
  const keep = (days: number) => roll.apply([ready(one.serial, one.uuid, inDays(days, now))])
  await keep(2)
  t.match(await decision.answer(one.serial), { line: first }, 'of this and a ready one what lasts longer')
  await keep(20)
  t.match(await decision.answer(one.serial), { from: 'stored' })
  now = new Date('2026-12-25T08:00:00')
  t.match(await decision.answer(one.serial), { kind: 'nothing' }, 'until it has run out')
})

t.test('an unlocker lasts as many days as were asked for, to the minute', async (t) => {
  const keyring = new DeskKeyring()
  const { decision } = await desk(t, keyring, [known, ready(one.serial, one.uuid, inDays(90))])
  const day: Moment = inDays(1)
  const given = await decision.unlocker(one.serial, 1)
  if ('why' in given) return t.fail(given.why)
  t.equal(given.from, 'fresh', 'though a ready one lasts longer')
  t.ok(given.until >= day && given.until <= inDays(1))
  t.equal(verdictOf(given.line), 'valid')
  t.match(await decision.unlocker(other.serial, 1), { why: /none came ready, and no uuid/ })
})

t.test("the uuid of an operator's list goes before the one of a delegation", async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, other.uuid, never)
  const stock = ready(one.serial, other.uuid, inDays(90))
  const { roll, planner, decision } = await desk(t, keyring, [stock])
  t.equal(planner.isAtOdds(one.serial), false)
  t.match(
    await decision.answer(one.serial),
    { from: 'stored' },
    'where there is no list, nobody knows better',
  )
  await roll.apply([known])
  t.equal(planner.isAtOdds(one.serial), true)
  const mended = await decision.answer(one.serial)
  t.match(mended, { from: 'fresh' }, 'a ready one for the other uuid does not count any more')
  t.equal(verdictOf(lineOf(mended)), 'valid')
  keyring.why = 'the clock is wrong'
  await roll.apply([{ serial: one.serial, laptop: { uuid: laptop(7).uuid } }])
  t.match(
    await decision.answer(one.serial),
    { from: 'stored' },
    'while nothing can be signed: the list may be wrong',
  )
  keyring.why = undefined
  await roll.apply([{ serial: one.serial, laptop: { uuid: other.uuid.toLowerCase() } }])
  t.equal(planner.isAtOdds(one.serial), true, 'they differ to the letter')
  await roll.apply([{ serial: one.serial, laptop: { uuid: other.uuid } }])
  t.equal(planner.isAtOdds(one.serial), false)
})

t.test('a key that is retired takes from no laptop what it got before', async (t) => {
  const keyring = new DeskKeyring()
  const stock = ready(one.serial, one.uuid, inDays(3))
  const { roll, decision } = await desk(t, keyring, [{ ...known, ...stock }])
  const first = await decision.answer(one.serial)
  t.match(first, { from: 'fresh' })
  keyring.isMaster = false
  t.match(await decision.answer(one.serial), {
    line: lineOf(first),
    why: /signed here before; the keyring has/,
  })
  t.match(await decision.prospect(one.serial), { kind: 'lease', why: /signed here before/ })
  t.match(await decision.unlocker(one.serial, 1), { line: lineOf(first) }, 'nor from a stick')
  keyring.delegate(one.serial, one.uuid, inDays(10))
  t.match(await decision.answer(one.serial), {
    line: lineOf(first),
    why: 'signed here before; that lasts longer than one signed here would',
  })
  t.equal(keyring.signed.length, 1)
  keyring.compromise(master.public)
  t.notMatch(await decision.answer(one.serial), { line: lineOf(first) })
  keyring.held.clear()
  await roll.apply([ready(one.serial, one.uuid, inDays(3), rogue)])
  t.match(await decision.answer(one.serial), { from: 'stored' }, 'unless it is compromised')
})

t.test('a laptop with old firmware is not given the sig02 that it got before', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, one.uuid, never)
  const { roll, decision } = await desk(t, keyring, [ready(one.serial, one.uuid, inDays(3))])
  t.match(await decision.answer(one.serial), { line: / sig02: / })
  await roll.apply([{ serial: one.serial, laptop: { old: true } }])
  t.match(await decision.answer(one.serial), { from: 'stored', line: / sig01: / })
  await roll.apply([{ serial: one.serial, laptop: { old: null } }])
  t.match(await decision.answer(one.serial), { line: / sig02: / })
  t.equal(keyring.signed.length, 1)
})

t.test('what was signed for a laptop is known after a restart whose clock says 1970', async (t) => {
  const root = await temporaryDirectory(t)
  const keyring = new DeskKeyring()
  const first = await desk(t, keyring, [{ ...known, ...ready(one.serial, one.uuid, inDays(3)) }], { root })
  const answer = await first.decision.answer(one.serial)
  first.visits.note(one.serial, answer, new Date())
  await first.visits.save()
  await first.store.close()
  keyring.why = 'the clock says 1970'
  const second = await desk(t, keyring, [], { root })
  t.match(await second.decision.answer(one.serial), {
    line: lineOf(answer),
    why: /signed here before; that lasts as long as/,
  })
  const seen = JSON.stringify(second.visits.get(one.serial))
  t.notMatch(seen, 'act01', 'which is told nowhere')
  await second.roll.apply([{ serial: one.serial, laptop: { uuid: other.uuid } }])
  t.match(await second.decision.answer(one.serial), { kind: 'nothing' }, 'and is judged like any other')
  keyring.why = undefined
  const next = await second.decision.answer(one.serial)
  second.visits.note(one.serial, next, new Date())
  await second.visits.save()
  await second.store.close()
  keyring.why = 'the clock says 1970'
  const third = await desk(t, keyring, [], { root })
  t.match(await third.decision.answer(one.serial), { line: lineOf(next) }, 'the last one is kept')
})

t.test('of what is signed for laptops no more is kept than a school can have', async (t) => {
  const { visits } = await desk(t, undefined, [])
  for (let number = 0; number < mostLaptops + 2; number += 1) {
    visits.keep(laptop(number).serial, { line: '', until: never })
    if (number === 10) visits.keep(laptop(0).serial, { line: '', until: never })
  }
  t.equal(visits.signed(laptop(1).serial), undefined, 'the oldest gives way')
  t.equal(visits.signed(laptop(2).serial), undefined)
  t.ok(visits.signed(laptop(0).serial))
  t.ok(visits.signed(laptop(3).serial))
})

t.test('a ready lease with a link of a compromised key is not given', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  const until = inDays(30)
  const sig02 = { line: chainedLease(one.serial, one.uuid, until, never), until }
  const stock = { serial: one.serial, sig02 }
  const { decision } = await desk(t, keyring, [{ ...known, stock }])
  t.match(await decision.answer(one.serial), { from: 'stored' })
  keyring.compromise(server.public)
  t.match(await decision.answer(one.serial), { kind: 'nothing', why: /key of the ready one is compromised/ })
})

t.test('what is there is said to last longer only where it does', async (t) => {
  const keyring = new DeskKeyring()
  const { roll, decision } = await desk(t, keyring, [known, ready(one.serial, one.uuid, never)])
  t.match(await decision.prospect(one.serial), {
    why: 'the ready one; the ready one lasts longer than one signed here would',
  })
  keyring.isMaster = false
  const until = inDays(9)
  keyring.delegate(one.serial, one.uuid, until)
  await roll.apply([ready(one.serial, one.uuid, until)])
  t.match(await decision.prospect(one.serial), {
    why: /the ready one lasts as long as one signed here would/,
  })
})

t.test('without a keyring a clock that cannot be right does not decide what has run out', async (t) => {
  t.same(made, built, 'the keyring knows the same day')
  let system = new Date('2027-03-01T08:00:00Z')
  let latest = 0
  const clock = new Clock(
    () => latest,
    () => system,
  )
  const stock = ready(one.serial, one.uuid, '20270401T000000Z')
  const { decision } = await desk(t, undefined, [stock], { clock })
  const is = async (kind: string, fault?: RegExp) => {
    t.match(await decision.answer(one.serial), { kind })
    const said = clock.fault()
    if (fault === undefined) t.equal(said, undefined)
    else t.match(said, fault)
  }
  await is('lease')
  latest = system.getTime()
  system = new Date('2028-03-01T08:00:00Z')
  await is('nothing')
  system = new Date('2037-03-01T08:00:00Z')
  await is('lease', /^the clock says 2037-03-01 .*more than a year after a laptop .* by 2027-03-01 /)
  system = new Date(0)
  await is('lease', /1970-01-01 .*before this software was made.* by 2027-03-01 /)
  latest = 0
  system = new Date('2037-03-01T08:00:00Z')
  await is('nothing')
  latest = 5_000
  await is('nothing', undefined)
})
