import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { changeJournal, differences, takeInventory } from '../../../sugaroid/index.js'
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
import { until } from '../../support/core/server-process.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

async function restored(t: Test, school: School, { uid }: Learner, at = 'latest') {
  const to = join(await temporaryDirectory(t), 'restored')
  t.match(await school.ask('restore', uid, '--at', at, '--to', to), { code: 0 })
  return takeInventory(to)
}

const under = (school: School, what: string) =>
  until(async () => (await school.status()).sessions.some((one) => one.what === what), what)

const openShared = sharedSchool()

t.test('who fetches a Journal gets one Journal, though another is sent meanwhile', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  for (const path of ['snapshots/latest', 'current']) {
    const learner = await enrolLearner(t, school, { entries: 15, megabytes: 0.5 })
    writeFileSync(join(learner.datastore, '0'), randomBytes(6_000_000))
    t.equal((await push(learner)).code, 0)
    await quiet(school)
    const old = await takeInventory(learner.datastore)
    const fetched = pull(learner, path, 'fetched', '--bwlimit=2000')
    await under(school, path === 'current' ? 'pull datastore' : 'pull snapshot')
    await changeJournal(learner.datastore, { percent: 40 })
    const sent = push(learner)
    t.same(await fetched, { code: 0, said: '' }, path)
    t.same(differences(old, await takeInventory(join(learner.home, 'fetched'))), [], `${path} is what it was`)
    t.same(await sent, { code: 0, said: '' }, 'and what was sent meanwhile is kept')
    await quiet(school)
    t.same(differences(await takeInventory(learner.datastore), await restored(t, school, learner)), [])
  }
})

t.test('two backups of one learner come one after the other', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const learner = await enrolLearner(t, school, { entries: 10, megabytes: 3 })
  const both = await Promise.all([push(learner, '--bwlimit=2000'), push(learner)])
  t.same(both, [
    { code: 0, said: '' },
    { code: 0, said: '' },
  ])
  await quiet(school)
  t.equal((await school.snapshots(learner.uid)).length, 1)
  t.same(differences(await takeInventory(learner.datastore), await restored(t, school, learner)), [])
})

t.test('a snapshot that is fetched is not pruned away', async (t) => {
  if (!canBackUp(t)) return
  const rules = ['last', 'daily', 'weekly', 'monthly'].flatMap((rule) => [`--backup-keep-${rule}`, '0'])
  const school = await openSchool(t, { args: rules })
  const learner = await enrolLearner(t, school, { entries: 8, megabytes: 0.5 })
  writeFileSync(join(learner.datastore, '0'), randomBytes(6_000_000))
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  const old = await takeInventory(learner.datastore)
  writeFileSync(join(learner.datastore, '0'), randomBytes(6_000_001))
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  const [first] = await school.snapshots(learner.uid)
  const fetched = pull(learner, `snapshots/${first?.id}`, 'fetched', '--bwlimit=3000')
  await under(school, 'pull snapshot')
  t.match(await school.ask('prune'), { code: 0 })
  t.same(await fetched, { code: 0, said: '' })
  t.same(differences(old, await takeInventory(join(learner.home, 'fetched'))), [])
  t.match(await school.ask('verify'), { code: 0 })
  t.equal((await school.server.stop()).code, 0)
})
