import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { differences, takeInventory } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  names,
  openSchool,
  push,
  quiet,
  type School,
} from '../../support/backup/backup-school.js'
import { until } from '../../support/core/server-process.js'
import { processes, processesOf } from '../../support/processes.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

/** A laptop with a Journal that takes so many seconds at 2 MB/s. */
async function slowLearner(t: Test, school: School, seconds: number): Promise<Learner> {
  const learner = await enrolLearner(t, school, { entries: 2, megabytes: 0.1 })
  writeFileSync(join(learner.datastore, 'film'), randomBytes(seconds * 2_000_000))
  return learner
}

const pushSlowly = (learner: Learner) => push(learner, '--bwlimit=2000')

/** Waits until so many films are on their way: a part of each has come. */
const transfers = (school: School, count: number) =>
  until(async () => {
    const coming = readdirSync(school.archive, { recursive: true, encoding: 'utf8' })
    return coming.filter((path) => /^\.?film\./.test(basename(path))).length === count
  }, `${count} transfers`)

async function isKept(t: Test, school: School, { uid, datastore }: Learner): Promise<void> {
  const to = join(await temporaryDirectory(t), 'restored')
  t.match(await school.ask('restore', uid, '--to', to), { code: 0 })
  t.same(differences(await takeInventory(datastore), await takeInventory(to)), [])
}

t.test('a server that is stopped lets transfers end, and takes no new ones', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, { args: ['--drain-seconds', '60'] })
  const learners = [await slowLearner(t, school, 4), await slowLearner(t, school, 4)]
  const late = await enrolLearner(t, school, { entries: 2 })
  const sent = learners.map(pushSlowly)
  await transfers(school, 2)
  const stopped = school.server.stop()
  await until(() => school.server.log().some(({ msg }) => /drain|stop/i.test(msg)), 'the server to drain')
  const refused = await push(late)
  t.not(refused.code, 0)
  t.same(await Promise.all(sent), [
    { code: 0, said: '' },
    { code: 0, said: '' },
  ])
  t.equal((await stopped).code, 0)
  t.same(processesOf(school.root), [])
  await school.start()
  await quiet(school)
  for (const learner of learners) await isKept(t, school, learner)
  t.equal((await school.server.stop()).code, 0)
})

t.test('transfers that do not end in time are ended with words, and what was safe is', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, { args: ['--drain-seconds', '1'] })
  const learners = [await slowLearner(t, school, 20), await slowLearner(t, school, 20)]
  const safe = await enrolLearner(t, school, { entries: 10, megabytes: 0.2 })
  t.equal((await push(safe)).code, 0)
  const sent = learners.map(pushSlowly)
  await transfers(school, 2)
  const { code } = await school.server.stop()
  t.equal(code, 0)
  for (const { code, said } of await Promise.all(sent)) {
    t.not(code, 0)
    t.match(said, /the school server is stopping/)
  }
  t.same(processesOf(school.root), [], 'no rsync is left')
  t.same(names(join(school.archive, 'processes')), [])
  await school.start()
  await quiet(school)
  await isKept(t, school, safe)
  t.match(await school.ask('verify'), { code: 0 })
  const [one] = learners
  if (one === undefined) return
  t.same(await push(one), { code: 0, said: '' }, 'the next attempt goes on')
  await quiet(school)
  await isKept(t, school, one)
})

t.test('a laptop that falls asleep keeps nobody else waiting', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, { args: ['--backup-slots', '2'] })
  const asleep = await slowLearner(t, school, 4)
  const others = [
    await enrolLearner(t, school, { entries: 2, megabytes: 0.1 }),
    await enrolLearner(t, school, { entries: 2, megabytes: 0.1 }),
  ]
  const sent = pushSlowly(asleep)
  await transfers(school, 1)
  const ssh = processes().find(({ name, group }) => name === 'ssh' && group === sent.child.pid)
  t.ok(ssh)
  if (ssh === undefined) return
  process.kill(ssh.pid, 'SIGSTOP')
  for (const other of others) {
    t.same(await push(other), { code: 0, said: '' })
    await sleep(300)
    await isKept(t, school, other)
  }
  t.match(await school.status(), { sessions: [{ uid: asleep.uid, what: 'push datastore' }] })
  process.kill(ssh.pid, 'SIGCONT')
  t.same(await sent, { code: 0, said: '' }, 'and goes on when it wakes up')
  await quiet(school)
  await isKept(t, school, asleep)
  t.equal((await school.server.stop()).code, 0)
})
