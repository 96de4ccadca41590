import fc from 'fast-check'
import t from 'tap'
import { Admission, type Facts } from '../../../../plugins/backup/admission/admission.js'
import { Slots } from '../../../../plugins/backup/admission/slots.js'
import { SteeredClock } from '../../../support/backup/steered-clock.js'
import { runs } from '../../../support/rounds.js'
import { seededRandom } from '../../../support/seeded-random.js'

t.setTimeout(300_000)

const slotsOfSchool = 8

type Manners = 'good' | 'impatient' | 'never ends' | 'never comes' | 'barges in'

interface Child {
  uid: string
  manners: Manners
  lastGood: number | undefined
  /** Seconds since the herd came; undefined: not yet. */
  served?: number
}

/** One laptop's life: asks, comes back as its manners tell, transfers, and is done. */
function live(child: Child, school: School): void {
  const { clock, random, admission, slots } = school
  const after = (seconds: number, work: () => unknown) => clock.later(seconds * 1000, work)
  const ask = async () => {
    const verdict = await admission.decide({ who: child.uid, form: 'uuid', address: '10.0.0.1' })
    if (verdict.status === 200) return after(1 + 9 * random(), transfer)
    const told = verdict.retryAfter ?? 0
    if (verdict.status !== 503 || told < 10 || told > 3600)
      return school.faults.push(`${verdict.kind} ${told}`)
    if (child.manners === 'good') {
      const second = Math.floor(clock.now() / 1000) + told
      school.returns.set(second, (school.returns.get(second) ?? 0) + 1)
      return after(told + random(), ask)
    }
    return after(child.manners === 'impatient' ? 1 + 5 * random() : 10 + 50 * random(), ask)
  }
  const transfer = async () => {
    if (child.manners === 'never comes') return after(30, ask)
    try {
      const began = clock.now()
      const stay = await slots.enter(child.uid, new AbortController().signal)
      school.running += 1
      school.most = Math.max(school.most, school.running)
      const seconds = child.manners === 'never ends' ? 60 : 20 + 60 * random()
      after(seconds, async () => {
        school.running -= 1
        stay.leave()
        if (child.manners === 'barges in') return after(1, transfer)
        if (child.manners === 'never ends') return after(5, ask)
        child.served = (clock.now() - school.began) / 1000
        child.lastGood = clock.date()
        admission.finished(child.uid, clock.now() - began)
      })
    } catch {
      after(10, child.manners === 'barges in' ? transfer : ask)
    }
  }
  after(random(), child.manners === 'barges in' ? transfer : ask)
}

interface School {
  clock: SteeredClock
  random: () => number
  slots: Slots
  admission: Admission
  began: number
  running: number
  most: number
  /** How many were told to come back in each second. */
  returns: Map<number, number>
  faults: string[]
}

const mannersOf = (dice: number): Manners =>
  dice < 0.3 ? 'impatient' : dice < 0.33 ? 'never ends' : dice < 0.35 ? 'never comes' : 'good'

async function simulate(children: number, seed: number, barging = 0) {
  const random = seededRandom(seed)
  const clock = new SteeredClock()
  const slots = new Slots(slotsOfSchool, clock)
  const day = 86_400_000
  const herd = Array.from({ length: children }, (_, index): Child => {
    const manners = index < barging ? 'barges in' : mannersOf(random())
    const lastGood = random() < 0.3 ? undefined : clock.date() - random() * 20 * day
    return { uid: index.toString(16).padStart(40, '0'), manners, lastGood }
  })
  const byUid = new Map(herd.map((child) => [child.uid, child]))
  const facts: Facts = {
    learners: async (who) => [{ uid: who }],
    lastGood: (uid) => byUid.get(uid)?.lastGood,
    digest: () => undefined,
    refusal: () => undefined,
    space: async () => undefined,
    away: async () => undefined,
    load: () => 0,
    draining: () => false,
  }
  const admission = new Admission(facts, slots, 5, { clock, random })
  const began = clock.now()
  const school: School = {
    clock,
    random,
    slots,
    admission,
    began,
    running: 0,
    most: 0,
    returns: new Map(),
    faults: [],
  }
  for (const child of herd) live(child, school)
  const wellBehaved = herd.filter(({ manners }) => manners === 'good')
  const isOver = () => wellBehaved.every(({ served }) => served !== undefined)
  for (let minute = 0; minute < 12 * 60 && !isOver(); minute += 1) await clock.advance(60)
  const waited = (manners: Manners) =>
    herd.filter((child) => child.manners === manners).map(({ served }) => served ?? Number.POSITIVE_INFINITY)
  const mean = (times: number[]) => times.reduce((sum, time) => sum + time, 0) / times.length
  return {
    unserved: wellBehaved.filter(({ served }) => served === undefined).length,
    most: school.most,
    herd: Math.max(0, ...school.returns.values()),
    faults: school.faults,
    last: Math.max(...waited('good')),
    good: mean(waited('good')),
    impatient: mean(waited('impatient')),
  }
}

t.test('64 laptops at once: everyone who behaves is served, never more than eight at a time', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(12), async (seed, barging) => {
      const { unserved, most, herd, faults } = await simulate(64, seed, barging)
      t.strictSame(faults, [])
      t.equal(unserved, 0)
      t.ok(most <= slotsOfSchool)
      t.ok(herd <= 5, `${herd} come back in one second`)
    }),
    runs(20),
  )
})

t.test('a thousand laptops at once: the same, within the time that a thousand transfers take', async (t) => {
  const { unserved, most, herd, faults, last, good, impatient } = await simulate(1000, 7)
  t.strictSame(faults, [])
  t.equal(unserved, 0)
  t.ok(most <= slotsOfSchool)
  t.ok(herd <= 30, `${herd} come back in one second`)
  t.ok(last < 3 * 3600, `the last one had its turn after ${last} s`)
  t.ok(
    good < impatient * 1.1,
    `patience costs nothing: ${good} s, and ${impatient} s for those who have none`,
  )
})
