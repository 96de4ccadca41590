import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sizeOf } from '../../../plugins/backup/session/size.js'
import { backUp, differences, takeInventory } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  push,
  quiet,
  remote,
  rsync,
  type School,
  sharedSchool,
} from '../../support/backup/backup-school.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const megabyte = 1_000_000

const write = ({ datastore }: Learner, name: string, megabytes: number) =>
  writeFileSync(join(datastore, name), randomBytes(megabytes * megabyte))

async function restored(t: Test, school: School, { uid }: Learner) {
  const to = join(await temporaryDirectory(t), 'restored')
  t.match(await school.ask('restore', uid, '--to', to), { code: 0 })
  return takeInventory(to)
}

async function flagsOf(school: School, { uid }: Learner): Promise<readonly string[]> {
  await quiet(school)
  return (await school.list()).find((one) => one.uid === uid)?.flags ?? []
}

const openShared = sharedSchool({ args: ['--backup-quota', '10'] })

t.test('a learner is warned before a share is used up, and stopped with words when it is', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const learner = await enrolLearner(t, school, { entries: 10, megabytes: 1 })
  const other = await enrolLearner(t, school, { entries: 10, megabytes: 1 })
  t.equal((await push(learner)).code, 0)
  t.same(await flagsOf(school, learner), [])
  write(learner, 'film', 7.5)
  t.equal((await push(learner)).code, 0)
  t.same(await flagsOf(school, learner), ['near-quota'])
  t.match(await school.status(), { flagged: [{ flag: 'near-quota', why: /^(9|10) of 10 MB$/ }] })
  const good = await takeInventory(learner.datastore)

  write(learner, 'another', 20)
  const over = await push(learner, '--bwlimit=4000')
  t.not(over.code, 0)
  t.match(over.said, /sugar-server: your share of the school server, 10 MB, is used up/)
  t.same(differences(good, await restored(t, school, learner)), [], 'the last snapshot stands')
  t.equal((await school.snapshots(learner.uid)).length, 2)

  rmSync(join(learner.datastore, 'another'))
  rmSync(join(learner.datastore, 'film'))
  write(learner, 'poem', 2)
  t.match(await push(learner, '--bwlimit=1000'), { code: 0 }, 'what was deleted makes room again')
  t.same(await flagsOf(school, learner), [])
  t.same(differences(await takeInventory(learner.datastore), await restored(t, school, learner)), [])

  truncateSync(join(learner.datastore, 'poem'), 2 ** 40)
  const sparse = await push(learner, '-S')
  t.not(sparse.code, 0)
  t.match(sparse.said, /your share of the school server/, 'a terabyte of nothing is too much')
  t.match(await push(other), { code: 0 }, 'others go on')
  truncateSync(join(learner.datastore, 'poem'), megabyte)
  t.match(await push(learner), { code: 0 })
  await quiet(school)
  t.same(differences(await takeInventory(learner.datastore), await restored(t, school, learner)), [])
  t.match(await school.ask('verify'), { code: 0 })
})

t.test('to try again, or at another place, does not get more than a share', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const learner = await enrolLearner(t, school, { entries: 5, megabytes: 1 })
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  const logs = join(learner.home, 'power-logs')
  mkdirSync(logs)
  writeFileSync(join(logs, 'long'), randomBytes(30 * megabyte))
  const aside = () => rsync(learner, '-rlt', '--bwlimit=8000', 'power-logs', remote(learner, 'power-logs'))
  t.match((await aside()).said, /your share of the school server, 10 MB, is used up/)
  for (const name of 'abcdefghijklmn') write(learner, name, 2)
  for (let time = 0; time < 4; time += 1) t.not((await push(learner, '--bwlimit=6000')).code, 0)
  t.ok((await sizeOf(join(school.archive, 'live', learner.uid))).bytes < 28 * megabyte)
  for (const name of 'abcdefghijklmn') truncateSync(join(learner.datastore, name), 1000)
  await push(learner, '--bwlimit=300')
  t.match(await push(learner), { code: 0 }, 'what is shorter is taken')
  t.same(await flagsOf(school, learner), [])
  t.same(differences(await takeInventory(learner.datastore), await restored(t, school, learner)), [])
  t.match(await push(learner, '-n'), { code: 0 })
  t.equal((await school.server.stop()).code, 0)
})

t.test(
  'who has more than a share, since it was made smaller, is told so and gets below it by deleting',
  async (t) => {
    if (!canBackUp(t)) return
    const school = await openSchool(t)
    const learner = await enrolLearner(t, school, { entries: 8, megabytes: 0.3 })
    for (const film of ['one', 'two', 'three']) write(learner, film, 4)
    t.equal((await push(learner)).code, 0)
    await quiet(school)
    await school.server.stop()
    await school.start(['--backup-quota', '10'])
    writeFileSync(join(learner.datastore, 'version'), 'x')
    t.equal((await push(learner)).code, 0, 'what is there is not thrown away')
    t.same(await flagsOf(school, learner), ['over-quota'])
    writeFileSync(join(learner.datastore, 'version'), 'longer')
    t.match(await backUp(learner.home, { patience: 1 }), { outcome: 'busy', seconds: 3600 })

    // Slowly, as over a bad Wi-Fi.
    rmSync(join(learner.datastore, 'one'))
    writeFileSync(join(learner.datastore, 'version'), randomBytes(50_000))
    t.match(await push(learner, '--bwlimit=10'), { code: 0 }, 'a slow backup that deletes is not stopped')
    t.same(await flagsOf(school, learner), ['near-quota'], 'and the share is enough again')
    t.match(await backUp(learner.home), { outcome: 'unchanged' })
  },
)

t.test('links and names count as what they take of the disk, and an operator sees the same', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t, { args: ['--backup-quota', '20'] })
  const learner = await enrolLearner(t, school, { entries: 2 })
  const links = join(learner.datastore, 'links')
  mkdirSync(links)
  const make = (from: number, to: number) => {
    for (let link = from; link < to; link += 1)
      symlinkSync(randomBytes(1500).toString('hex'), join(links, `${link} `.padEnd(250, 'n')))
  }
  make(0, 1000)
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  const [listed] = await school.list()
  const disk = Number(
    spawnSync('du', ['-s', '--block-size=1', 'live', 'objects', 'snapshots', '-c'], {
      cwd: school.archive,
      encoding: 'utf8',
    })
      .stdout.trim()
      .split('\n')
      .at(-1)
      ?.split('\t')[0],
  )
  t.ok(listed !== undefined && Math.abs(listed.bytes - disk) < 0.2 * disk, `${listed?.bytes} for ${disk}`)
  make(1000, 6000)
  const over = await push(learner)
  t.not(over.code, 0)
  t.match(over.said, /your share of the school server, 20 MB, is used up/)
  t.match(await flagsOf(school, learner), ['over-quota'], 'who is refused is shown')
  t.match(await school.status(), { flagged: [{ flag: 'over-quota', why: /was refused/ }] })
  rmSync(links, { recursive: true })
  t.equal((await push(learner)).code, 0)
  t.same(await flagsOf(school, learner), [])
})
