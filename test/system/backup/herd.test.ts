import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { backUp, differences, restoreJournal, takeInventory } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  push,
  quiet,
} from '../../support/backup/backup-school.js'
import { processesOf } from '../../support/processes.js'

t.setTimeout(600_000)

const laptops = 64
const slots = 8
const journal = { entries: 1, megabytes: 0.05 }

t.test('sixty-four laptops that ask in the same second all get their turn, eight at a time', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, { args: ['--backup-slots', String(slots)] })
  // By this the server knows how long a transfer takes here.
  const first = await enrolLearner(t, school, journal)
  for (const name of ['--stats', '--checksum', '--ignore-times']) t.equal((await push(first, name)).code, 0)
  const learners: Learner[] = []
  for (let count = 0; count < laptops; count += 1) learners.push(await enrolLearner(t, school, journal))
  await quiet(school)

  const back: number[] = []
  const waits: number[] = []
  let most = 0
  let over = false
  const watch = async () => {
    while (!over) {
      // A transfer is a process group, of two or three.
      const groups = processesOf(school.archive).filter(({ name }) => name === 'rsync')
      most = Math.max(most, new Set(groups.map(({ group }) => group)).size)
      await sleep(100)
    }
  }
  const watching = watch()
  const began = Date.now()
  const ended = await Promise.all(
    learners.map(({ home }) =>
      backUp(home, {
        patience: 600,
        waiting: (seconds) => waits.push(seconds),
        async sleep(milliseconds) {
          await sleep(milliseconds)
          back.push(Date.now() - began)
        },
      }),
    ),
  )
  over = true
  await watching
  t.same(
    ended.filter(({ outcome }) => outcome !== 'sent'),
    [],
    'all of them, none failed',
  )
  t.ok(most > 1 && most <= slots, `${most} at a time`)
  t.ok(waits.length >= laptops - slots * 2, `${waits.length} times somebody was asked to come again`)
  const seconds = new Map<number, number>()
  for (const at of back) seconds.set(Math.floor(at / 1000), (seconds.get(Math.floor(at / 1000)) ?? 0) + 1)
  t.comment(`${Math.round((Date.now() - began) / 1000)} s; came back: ${[...seconds.values()].join(' ')}`)
  t.ok(Math.max(...seconds.values()) < laptops / 4, 'they do not come back as a herd')
  t.ok(seconds.size >= 10)

  await quiet(school)
  t.match(await school.status(), { running: 0, inLine: 0 })
  const rows = await school.list()
  t.same(
    rows.filter(({ uid, snapshots }) => uid !== first.uid && snapshots !== 1),
    [],
    'one snapshot each',
  )
  for (const { home, datastore } of learners.slice(0, 3)) {
    const to = `${home}/back`
    t.match(await restoreJournal(home, { to }), { outcome: 'restored' })
    t.same(differences(await takeInventory(datastore), await takeInventory(to)), [])
  }
  t.equal((await school.server.stop()).code, 0)
})
