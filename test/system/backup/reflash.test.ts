import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  backUp,
  datastoreOf,
  differences,
  entryPath,
  type Inventory,
  listEntries,
  makeJournal,
  restoreJournal,
  takeInventory,
  wipeJournal,
} from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  pull,
  push,
  quiet,
  type School,
  sharedSchool,
} from '../../support/backup/backup-school.js'
import { rounds } from '../../support/rounds.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const inventory = ({ home }: Learner): Promise<Inventory> => takeInventory(datastoreOf(home))

/** What `backup restore` gives. */
async function restored(t: Test, school: School, { uid }: Learner, ...more: string[]): Promise<Inventory> {
  const to = join(await temporaryDirectory(t), 'restored')
  const { code, err } = await school.ask('restore', uid, '--to', to, ...more)
  t.equal(code, 0, err)
  return takeInventory(to)
}

const flags = async (school: School): Promise<readonly string[]> =>
  (await school.list()).flatMap(({ flags }) => flags)

const openShared = sharedSchool()

/** Entries of a Journal that has many. */
const many = rounds(100, 30)
/** In a push the month is shorter. */
const days = rounds(30, 12)

t.test('a laptop that was reflashed gets back what it had, though it backed up in between', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const learner = await enrolLearner(t, school, { key: 'dsa', entries: many, megabytes: many / 20 })
  const { uid, datastore } = learner
  const full = await inventory(learner)
  t.match(await backUp(learner.home), { outcome: 'sent' })
  await quiet(school)
  t.same(await backUp(learner.home), { outcome: 'unchanged' }, 'what is kept need not be sent')
  t.same(await flags(school), [])

  await wipeJournal(datastore)
  await makeJournal(datastore, { entries: 1, megabytes: 0.1, seed: 'after' })
  const poor = await inventory(learner)
  t.match(await backUp(learner.home), { outcome: 'sent' })
  t.same(await flags(school), ['mass-change'])
  const [before, after] = await school.snapshots(uid)
  t.match(before, { entries: many, why: `${many} of ${many} entries were gone and 0 rewritten` })
  t.match(after, { entries: 1, why: undefined })
  const { out, err } = await school.backup('list')
  t.match(out, /mass-change/)
  t.match(err, new RegExp(`${many} of ${many} entries were gone.*"backup restore .*"backup release`))
  t.match((await school.status()).flagged, [{ uid, flag: 'mass-change', why: `${before?.id} is on hold` }])
  t.ok(school.server.log().some(({ msg }) => msg.includes('most of the Journal of')))

  t.same(differences(full, await restored(t, school, learner)), [], 'restore gives the hundred')
  t.same(
    differences(poor, await restored(t, school, learner, '--at', 'latest')),
    [],
    'or the newest, when asked',
  )
  t.equal((await pull(learner, 'snapshots/latest', 'fetched')).code, 0)
  t.same(differences(full, await takeInventory(join(learner.home, 'fetched'))), [], 'as the laptop does')
  t.match(await restoreJournal(learner.home, { snapshot: 'latest', to: join(learner.home, 'by sugaroid') }), {
    outcome: 'restored',
  })
  t.same(differences(full, await takeInventory(join(learner.home, 'by sugaroid'))), [])

  t.match(await school.backup('release', uid.slice(0, 10)), { code: 0, out: `released ${before?.id}` })
  t.same(await flags(school), [])
  t.same(differences(poor, await restored(t, school, learner)), [], 'after a release it is the newest')
  t.equal((await pull(learner, 'snapshots/latest', 'fetched', '--delete')).code, 0)
  t.same(differences(poor, await takeInventory(join(learner.home, 'fetched'))), [])
})

t.test('encrypted files do not take the place of those that could be read', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const learner = await enrolLearner(t, school, { entries: 40, megabytes: 2 })
  const plain = await inventory(learner)
  t.equal((await push(learner)).code, 0)
  for (const entry of await listEntries(learner.datastore)) {
    const data = join(entryPath(learner.datastore, entry), 'data')
    try {
      const { length } = readFileSync(data)
      chmodSync(data, 0o644)
      writeFileSync(data, randomBytes(length))
    } catch {
      // It has none.
    }
  }
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  t.same(await flags(school), ['mass-change'])
  t.match(await school.snapshots(learner.uid), [
    { why: /0 of 40 entries were gone and [23]\d rewritten/ },
    {},
  ])
  t.same(differences(plain, await restored(t, school, learner)), [])

  // With the flag up it goes on, and still that is what there is.
  for (const entry of (await listEntries(learner.datastore)).slice(0, 30)) {
    const title = join(entryPath(learner.datastore, entry), 'metadata', 'title')
    writeFileSync(title, 'PAY')
    utimesSync(title, 1, 1)
  }
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  t.same(differences(plain, await restored(t, school, learner)), [])
  t.equal((await school.server.stop()).code, 0)
})

t.test('a laptop that deletes everything each day for a month loses nothing that it had', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, {
    args: ['last', 'daily', 'weekly', 'monthly'].flatMap((rule) => [
      `--backup-keep-${rule}`,
      rule === 'last' ? '2' : '0',
    ]),
  })
  const learner = await enrolLearner(t, school, { entries: 15, megabytes: 0.5 })
  const full = await inventory(learner)
  t.equal((await push(learner)).code, 0)
  for (let day = 0; day < days; day += 1) {
    await wipeJournal(learner.datastore)
    // Now with a few new entries, now with none.
    if (day % 3 > 0)
      await makeJournal(learner.datastore, { entries: day % 3, megabytes: 0.01, seed: `${day}` })
    const { code, said } = await push(learner)
    if (code !== 0) t.fail(said)
    if (day % 10 === 9 || day === days - 1) t.equal((await school.ask('prune')).code, 0)
  }
  const [first, ...later] = await school.snapshots(learner.uid)
  t.match(first, { entries: 15, why: /15 of 15 entries were gone/ })
  t.equal(later.length, 2, 'the others went by the rules')
  t.same(await flags(school), ['mass-change'])
  t.same(differences(full, await restored(t, school, learner)), [])
  t.equal((await pull(learner, 'snapshots/latest', 'fetched')).code, 0)
  t.same(differences(full, await takeInventory(join(learner.home, 'fetched'))), [])
  t.match(await school.ask('verify'), { code: 0 })
})
