import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  backUp,
  changeJournal,
  differences,
  listEntries,
  makeJournal,
  takeInventory,
} from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  pull,
  quiet,
  sharedSchool,
} from '../../support/backup/backup-school.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

/** What an OLPC XS has kept of a laptop: a day's copy of hard links after each change, and what came last. */
async function makeXs(users: string, { serial, datastore }: Learner, days: readonly string[]): Promise<void> {
  const folder = join(users, serial)
  const current = join(folder, 'datastore-current')
  mkdirSync(folder, { recursive: true })
  for (const [at, day] of days.entries()) {
    if (at > 0) await changeJournal(datastore, { percent: 10, seed: day })
    // rsync makes new files, so that the copies of other days keep theirs.
    spawnSync('rsync', ['-rlt', '--delete', `${datastore}/`, current])
    spawnSync('cp', ['-al', current, join(folder, `datastore-${day}`)])
  }
}

const openShared = sharedSchool()

t.test(
  'the backups of an OLPC XS are taken over with their history, and laptops go on from there',
  async (t) => {
    if (!canBackUp(t)) return
    const school = await openShared()
    const users = await temporaryDirectory(t)
    const days = ['2011-03-01_08:15', '2011-03-02_08:16', '2011-03-09_23:59']
    const learners = [
      await enrolLearner(t, school, { key: 'dsa', entries: 20, megabytes: 1 }),
      await enrolLearner(t, school, { entries: 5, megabytes: 0.2 }),
    ]
    for (const learner of learners) await makeXs(users, learner, days)
    const [one, other] = learners
    if (one === undefined || other === undefined) return
    cpSync(join(users, other.serial), join(users, 'SHC0FFFFFFF'), { recursive: true })

    const first = await school.backup('import-xs', users)
    t.match(first, { code: 65, out: /^6 snapshots taken over, 2 as they were, 1 laptops refused/ })
    t.match(first.err, /refused: SHC0FFFFFFF: no learner is registered with this laptop/)
    const again = await school.backup('import-xs', users)
    t.match(
      again,
      { code: 65, out: /^0 snapshots taken over, 8 as they were, 1 laptops refused/ },
      'a second time changes nothing',
    )

    for (const learner of learners) {
      const snapshots = await school.snapshots(learner.uid)
      t.match(
        snapshots.map(({ at }) => new Date(at).getTime()).slice(0, 3),
        days.map((day) => new Date(day.replace('_', 'T')).getTime()),
      )
      for (const [at, day] of days.entries()) {
        const to = join(await temporaryDirectory(t), 'restored')
        t.match(await school.ask('restore', learner.serial, '--at', snapshots[at]?.id ?? '', '--to', to), {
          code: 0,
        })
        const was = await takeInventory(join(users, learner.serial, `datastore-${day}`))
        t.same(differences(was, await takeInventory(to)), [], `as it was on ${day}`)
      }
    }
    const { out } = await school.ask('entries', one.serial, '--json')
    t.same(
      (JSON.parse(out) as { uid: string }[]).map(({ uid }) => uid).sort(),
      await listEntries(one.datastore),
    )
    t.match(await school.ask('list'), { code: 0 })

    const before = (await school.snapshots(one.uid)).length
    t.equal((await pull(one, 'current', 'fetched')).code, 0, 'what came last is where the laptop finds it')
    t.same(
      [...(await takeInventory(join(one.home, 'fetched'))).keys()].sort(),
      [...(await takeInventory(one.datastore)).keys()].sort(),
    )
    await changeJournal(one.datastore, { percent: 5, seed: 'at the new server' })
    t.match(await backUp(one.home), { outcome: 'sent' })
    await quiet(school)
    const after = await school.snapshots(one.uid)
    t.equal(after.length, before + 1)
    t.ok(
      after.every(({ why }) => why === undefined),
      'and the brake does not take it for a loss',
    )
    t.match(
      await school.backup('import-xs', users),
      { out: /^0 snapshots taken over, 8 as they were/ },
      'nor does it once the laptop has gone on',
    )
    t.match(await school.ask('verify'), { code: 0 })
  },
)

t.test(
  'a directory without any Journal is passed over, and one with only the last Journal taken over',
  async (t) => {
    if (!canBackUp(t)) return
    const school = await openShared()
    const learner = await enrolLearner(t, school, { entries: 3 })
    const users = await temporaryDirectory(t)
    for (const name of ['public', 'datastore-2011-13-45_99:99', 'datastore-2011-02-30_10:00'])
      mkdirSync(join(users, learner.serial, name), { recursive: true })
    mkdirSync(join(users, 'lost+found'))
    t.match(await school.backup('import-xs', users), {
      code: 0,
      out: /^0 snapshots taken over, 0 as they were, 0 laptops refused/,
      err: new RegExp(`passed over: ${learner.serial} holds no Journal`),
    })
    await makeJournal(join(users, learner.serial, 'datastore-current'), { entries: 3, megabytes: 0 })
    const { code, out, err } = await school.backup('import-xs', users)
    t.match({ code, out }, { code: 0, out: /1 snapshots taken over/ }, err)
    t.equal((await school.server.stop()).code, 0)
  },
)
