import { readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { choose } from '../../../../plugins/backup/archive/choice.js'
import { judge, type Keepable, type KeepRules } from '../../../../plugins/backup/archive/keeping.js'
import type { Layout } from '../../../../plugins/backup/archive/layout.js'
import { readManifest, writeManifest } from '../../../../plugins/backup/archive/manifest.js'
import { prune } from '../../../../plugins/backup/archive/prune.js'
import { plainId, Shelf } from '../../../../plugins/backup/archive/shelf.js'
import { journalOf, learner, newArchive, put, snapshot } from '../../../support/backup/test-archive.js'
import { runs } from '../../../support/rounds.js'

const uid = learner(1)
const nobody = () => false
const none: KeepRules = { last: 0, daily: 0, weekly: 0, monthly: 0 }

const keepable = (at: string, more: Partial<Keepable> = {}): Keepable => ({ id: at, at, ...more })
const days = ['2026-01-30', '2026-02-27', '2026-03-29', '2026-03-30', '2026-03-31', '2026-04-01']
const times = [...days.map((day) => `${day}T08:00:00.000Z`), '2026-04-01T12:00:00.000Z']

t.test('the rules keep what they say, and tell why', async (t) => {
  const kept = (rules: Partial<KeepRules>) =>
    judge(
      times.map((at) => keepable(at)),
      { ...none, ...rules },
    )
      .filter(({ keep }) => keep)
      .map(({ at }) => at.slice(5, 13))
  for (const [rules, wanted] of [
    [{}, ['04-01T12']],
    [{ last: 2 }, ['04-01T08', '04-01T12']],
    [{ daily: 2 }, ['03-31T08', '04-01T12']],
    // 29 March 2026 is a Sunday, the end of a week.
    [{ weekly: 2 }, ['03-29T08', '04-01T12']],
    [{ weekly: 3 }, ['02-27T08', '03-29T08', '04-01T12']],
    [{ monthly: 3 }, ['02-27T08', '03-31T08', '04-01T12']],
    [{ last: 2, monthly: 9 }, ['01-30T08', '02-27T08', '03-31T08', '04-01T08', '04-01T12']],
  ] as const)
    t.strictSame(kept(rules), wanted, JSON.stringify(rules))
  const [first, , , , , , last] = judge(
    times.map((at) => keepable(at)),
    { ...none, daily: 1, last: 1 },
  )
  t.strictSame(first?.reasons, ['no rule keeps it'])
  t.strictSame(last?.reasons, ['the last good one', 'one of the last 1 (1)', 'daily: the last of 2026-04-01'])
  t.match(judge([keepable('2027-01-01T00:00:00Z')], { ...none, weekly: 1 })[0], {
    reasons: ['the last good one', 'weekly: the last of 2026-W53'],
  })
})

const when = fc.date({ min: new Date(0), max: new Date('2106-02-07'), noInvalidDate: true })
const history = fc
  .uniqueArray(
    fc.record({ date: when, held: fc.option(fc.string(), { nil: undefined }), damaged: fc.boolean() }),
    { maxLength: 40, selector: ({ date }) => date.getTime() },
  )
  .chain((all) => fc.tuple(fc.constant(all), fc.boolean()))
  // In the order of the clock, or in that in which a clock that jumps gave them.
  .map(([all, inOrder]) => (inOrder ? [...all].sort((a, b) => a.date.getTime() - b.date.getTime()) : all))
  .map((all) =>
    all.map(({ date, held, damaged }, index) => ({ id: `${index}`, at: date.toISOString(), held, damaged })),
  )
const count = fc.nat(8)
const someRules = fc.record({ last: count, daily: count, weekly: count, monthly: count })

t.test(
  'whatever the rules: what is held and the last good one stay, and more rules keep no less',
  async () => {
    fc.assert(
      fc.property(history, someRules, someRules, (all, rules, more) => {
        const verdicts = judge(all, rules)
        const keeps = new Set(verdicts.filter(({ keep }) => keep).map(({ id }) => id))
        const lastGood = all.findLast(({ damaged }) => !damaged)
        if (lastGood !== undefined && !keeps.has(lastGood.id)) return false
        if (all.some(({ held, id }) => held !== undefined && !keeps.has(id))) return false
        if (verdicts.some(({ reasons }) => reasons.length === 0)) return false
        if (all.slice(all.length - Math.min(all.length, rules.last)).some(({ id }) => !keeps.has(id)))
          return false
        const sum = {
          last: rules.last + more.last,
          daily: rules.daily + more.daily,
          weekly: rules.weekly + more.weekly,
          monthly: rules.monthly + more.monthly,
        }
        const larger = new Set(
          judge(all, sum)
            .filter(({ keep }) => keep)
            .map(({ id }) => id),
        )
        if ([...keeps].some((id) => !larger.has(id))) return false
        // To prune again removes nothing more.
        const left = all.filter(({ id }) => keeps.has(id))
        return judge(left, rules).every(({ keep }) => keep)
      }),
      runs(500),
    )
  },
)

/** Snapshots of these times, all of one small Journal. */
async function withHistory(layout: Layout, all: readonly string[]): Promise<Shelf> {
  put(journalOf(layout, uid), 'x', 'x')
  await snapshot(layout, uid)
  const shelf = new Shelf(layout, uid)
  const [first = ''] = shelf.ids()
  const { header, pieces } = readManifest(shelf.path(first))
  for (const time of all) {
    const id = plainId(new Date(time))
    const manifest = { header: { ...header, id, at: new Date(time).toISOString() }, pieces }
    writeManifest(shelf.path(id), manifest, join(layout.scratch, 'm'))
  }
  shelf.remove(first)
  return shelf
}

t.test('pruning removes what no rule keeps, and nothing at all when it is only asked', async (t) => {
  const layout = newArchive(t)
  const shelf = await withHistory(layout, times)
  const all = shelf.ids()
  const [oldest = '', second = ''] = all
  shelf.hold(oldest, { by: 'operator', why: 'for the parents' })
  const rules = { ...none, last: 1 }
  const asked = prune(layout, { rules, dryRun: true }, nobody)
  t.strictSame(shelf.ids(), all)
  t.match(asked[0], { uid, id: oldest, keep: true, reasons: ['on hold: for the parents'] })
  t.strictSame(
    asked.filter(({ keep }) => !keep).map(({ id }) => id),
    all.slice(1, -1),
  )
  const done = prune(layout, { rules, dryRun: false }, (who, id) => who === uid && id === second)
  t.match(done[1], { keep: true, reasons: ['it is being read'] })
  t.strictSame(shelf.ids(), [oldest, second, all.at(-1)])
  prune(layout, { rules, dryRun: false, uids: [learner(2)] }, nobody)
  t.equal(shelf.ids().length, 3, 'somebody else')
  prune(layout, { rules, dryRun: false }, nobody)
  t.ok(shelf.release(oldest))
  t.notOk(shelf.release(oldest))
  prune(layout, { rules, dryRun: false }, nobody)
  t.strictSame(shelf.ids(), all.slice(-1))
  t.strictSame(readdirSync(layout.snapshots(uid)), [`${all.at(-1)}.snapshot`])
})

t.test('the newest snapshot that is whole is kept, whatever lies after it', async (t) => {
  const layout = newArchive(t)
  const shelf = await withHistory(layout, times)
  const [, good = '', third = '', fourth = '', ...damaged] = shelf.ids()
  writeFileSync(shelf.path(third), 'garbage')
  // Its first line is as it was, and so are its time and its numbers.
  truncateSync(shelf.path(fourth), 400)
  for (const id of damaged) truncateSync(shelf.path(id), 400)
  const verdicts = prune(layout, { rules: { ...none, last: 1 }, dryRun: false }, nobody)
  t.match(verdicts[1], { id: good, reasons: ['the last good one'] })
  t.strictSame(
    shelf.ids(),
    [good, third, fourth, ...damaged],
    'what cannot be read waits for somebody to look at it',
  )
})

t.test('a snapshot is chosen by its id, a date, a time, or as the newest', async (t) => {
  const layout = newArchive(t)
  const shelf = await withHistory(layout, times)
  const ids = shelf.ids()
  const [jan = '', feb = '', , mar30 = '', mar31 = '', apr8 = '', apr12 = ''] = ids
  for (const [at, wanted] of [
    [undefined, apr12],
    ['latest', apr12],
    [feb, feb],
    ['2026-02-27', feb],
    ['2026-03-28', feb],
    ['2026-02-28', feb],
    ['2030-12-31', apr12],
    ['2026-04-01', apr12],
    ['2026-04-01T08:00', apr8],
    ['2026-04-01 11:59', apr8],
    ['2026-04-01T12:00:00Z', apr12],
    ['2026-04-01T07:59:59', mar31],
    ['2026-03-30T23:59', mar30],
  ] as const)
    t.equal(choose(shelf, at), wanted, String(at))
  const odd = [
    '2026-02-30',
    '2026-13-01',
    '2026-4-1',
    '2026-04-01T24:00',
    '2026-04-01T10:60',
    '2026-04-01T10:11:60',
  ]
  for (const at of [
    ...odd,
    '',
    'yesterday',
    '../x',
    '2026-04-01T10',
    '20260401',
    `${feb}/../x`,
    '+002026-04-01',
  ])
    t.throws(() => choose(shelf, at), { code: 'USAGE' }, at)
  t.throws(() => choose(shelf, '2026-01-29'), { code: 'NOT_FOUND', hint: new RegExp(`the oldest is ${jan}`) })
  t.throws(() => choose(new Shelf(layout, learner(2))), { code: 'NOT_FOUND' })

  writeFileSync(shelf.path(mar31), 'garbage')
  t.equal(choose(shelf, '2026-03-30'), mar30, 'damage elsewhere does not matter')
  shelf.hold(feb, { by: 'operator', why: 'x' })
  t.equal(choose(shelf), apr12)
  shelf.hold(mar30, { by: 'brake', why: 'x' })
  t.equal(choose(shelf), mar30, 'what the brake holds is what somebody wants back')
  t.equal(choose(shelf, 'latest'), apr12)
  writeFileSync(join(layout.snapshots(uid), `${mar30}.held`), '{')
  t.strictSame(shelf.held(mar30), [{ by: 'operator', why: 'the reason is lost' }])
})

t.test('the brake and an operator hold a snapshot each for a reason of their own', async (t) => {
  const layout = newArchive(t)
  const shelf = await withHistory(layout, times)
  const [, id = ''] = shelf.ids()
  const brake = { by: 'brake', why: 'most went' } as const
  const operator = { by: 'operator', why: 'for the parents' } as const
  for (const [first, second] of [
    [brake, operator],
    [operator, brake],
  ] as const) {
    shelf.hold(id, first)
    shelf.hold(id, second)
    t.strictSame(shelf.held(id), [first, second])
    t.equal(choose(shelf), id, "an operator's hold does not hide that of the brake")
    t.match(prune(layout, { rules: none, dryRun: true }, nobody)[1], {
      reasons: [`on hold: ${first.why}; ${second.why}`],
    })
    t.ok(shelf.release(id, 'brake'))
    t.notOk(shelf.release(id, 'brake'))
    t.strictSame(shelf.held(id), [operator])
    t.ok(shelf.release(id))
    t.strictSame(shelf.held(id), [])
  }
  shelf.hold(id, brake)
  shelf.hold(id, { by: 'brake', why: 'again' })
  t.strictSame(shelf.held(id), [{ by: 'brake', why: 'again' }])
  writeFileSync(join(layout.snapshots(uid), `${id}.held`), JSON.stringify(brake))
  t.strictSame(shelf.held(id), [brake], 'as it was written when there was one')
  shelf.hold(id, operator)
  t.strictSame(shelf.held(id), [brake, operator])
})
