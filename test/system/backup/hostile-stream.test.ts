import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { remoteShell } from '../../../sugaroid/backup/transfer.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  pull,
  push,
  remote,
  rsync,
} from '../../support/backup/backup-school.js'
import { fileReaders } from '../../support/backup/hostile-rsync.js'
import { until } from '../../support/core/server-process.js'
import { needs } from '../../support/needs.js'

t.setTimeout(300_000)

t.test('whatever a laptop sends, it gets nothing of another one, and its slot is free again', async (t) => {
  if (!canBackUp(t) || !needs(t, 'mkfifo', 'coreutils')) return
  const school = await openSchool(t, { args: ['--backup-slots', '16'] })
  const other = await enrolLearner(t, school, { entries: 3 })
  mkdirSync(join(other.home, 'papers'))
  writeFileSync(join(other.home, 'papers', 'diary.txt'), 'very-secret words of a diary\n')
  t.equal((await rsync(other, '-rlt', 'papers/', remote(other, 'documents'))).code, 0)
  const places = [`../${other.uid}/documents/diary.txt`, 'datastore-current/fifo', '/dev/zero', '/nowhere']

  // A learner for each place, for most of the time is spent waiting.
  const attack = async (place: string): Promise<Learner> => {
    const learner = await enrolLearner(t, school, { entries: 3 })
    t.equal((await push(learner)).code, 0)
    await until(async () => (await school.snapshots(learner.uid)).length === 1, 'the snapshot')
    execFileSync('mkfifo', [join(school.archive, 'live', learner.uid, 'datastore-current', 'fifo')])
    const [program = '', ...words] = remoteShell(learner.account).split(' ')
    // Four of one learner at a time, which is what one may have.
    const clients = fileReaders(place).filter(({ command }) => !command.includes('vvv'))
    for (let at = 0; at < clients.length; at += 4) {
      const talks = clients.slice(at, at + 4).map(({ command, talk }) => {
        const ssh = spawn(program, [...words, school.ports.ssh === 0 ? '' : '127.0.0.1', command], {
          cwd: learner.home,
        })
        return talk(ssh)
      })
      for (const { told, client } of await Promise.all(talks)) {
        t.notMatch(told, /very-secret|diary\b.*words/, client)
        t.match(told, /sugar-server: the filter rule ".+" is refused: it has the server read a file/, client)
      }
    }
    return learner
  }
  const learners = await Promise.all(places.map(attack))
  await until(async () => (await school.status()).running === 0, 'all slots to be free', 10_000)
  for (const { uid } of learners) {
    const logged = school.server
      .log()
      .filter(({ msg }) => msg.startsWith(`refused to ${uid}: the filter rule`))
    t.equal(logged.length, 16)
    t.equal(logged[0]?.uid, uid)
  }
  for (const learner of learners)
    t.equal((await pull(learner, 'current', 'back', '--exclude=fifo')).code, 0, 'others are served as before')
})
