import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { backUp, changeJournal, differences, takeInventory } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  names,
  openSchool,
  pull,
  push,
  quiet,
  type School,
} from '../../support/backup/backup-school.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

/** A disk of so many megabytes; undefined, and the test skipped, where this user cannot mount one. */
async function smallDisk(t: Test, megabytes: number, more = ''): Promise<string | undefined> {
  const disk = join(await temporaryDirectory(t), 'disk')
  await mkdir(disk, { mode: 0o700 })
  const options = `size=${megabytes}m,mode=700${more}`
  const { status, error, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk])
  if (status !== 0) {
    t.pass('needs a mounted tmpfs', { skip: `mount: ${error?.message ?? String(stderr).trim()}` })
    return undefined
  }
  t.teardown(() => void spawnSync('umount', ['--lazy', disk]))
  return disk
}

const ballast = (disk: string): string => join(disk, 'ballast')

/** Leaves so many bytes, or none. */
async function fill(disk: string, leave = 0): Promise<void> {
  const file = await open(ballast(disk), 'w')
  for (let size = 1 << 20; size >= 1; size = Math.floor(size / 16)) {
    try {
      for (;;) await file.write(Buffer.alloc(size, 1))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  if (leave > 0) await file.truncate((await file.stat()).size - leave)
  await file.close()
}

const empty = (disk: string): Promise<void> => rm(ballast(disk))

/** What `backup restore` gives of the newest snapshot. */
async function restored(t: Test, school: School, { uid }: Learner, ...more: string[]) {
  const to = join(await temporaryDirectory(t), 'restored')
  t.match(await school.ask('restore', uid, '--at', 'latest', '--to', to, ...more), { code: 0 })
  return takeInventory(to)
}

async function wellKept(t: Test, school: School, what: string): Promise<void> {
  await quiet(school)
  t.match(await school.ask('verify'), { code: 0, out: /all as they were written/ }, what)
  t.same(names(join(school.archive, 'scratch')), [])
}

t.test('a disk that fills up in a transfer loses nothing, and takes more when there is room', async (t) => {
  if (!canBackUp(t)) return
  const disk = await smallDisk(t, 24)
  if (disk === undefined) return
  const school = await openSchool(t, { archive: join(disk, 'backup'), reserve: 5 })
  const learner = await enrolLearner(t, school, { entries: 8, megabytes: 3 })
  const other = await enrolLearner(t, school, { entries: 8, megabytes: 3 })
  const safe = await takeInventory(learner.datastore)
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  writeFileSync(join(learner.datastore, 'film'), randomBytes(30_000_000))
  const full = await push(learner)
  t.not(full.code, 0)
  t.match(full.said, /the disk of the school server is full|No space left/)
  await quiet(school)
  t.same((await school.server.status()).health, [], 'what it took of the disk is given back')
  await fill(disk)
  t.not((await push(other)).code, 0, 'and nobody else is let in')
  t.match(await backUp(other.home, { patience: 1 }), { outcome: 'busy' })
  t.match((await school.server.status()).health, [{ plugin: 'backup', what: 'space', problem: /free/ }])
  t.same(differences(safe, await restored(t, school, learner)), [], 'the last good one stands')
  t.match(await school.ask('prune'), { code: 0 }, 'there is always room for removing things')

  await empty(disk)
  await rm(join(learner.datastore, 'film'))
  for (const one of [learner, other]) t.match(await push(one), { code: 0 }, 'by itself')
  await wellKept(t, school, 'all is well')
  for (const one of [learner, other])
    t.same(differences(await takeInventory(one.datastore), await restored(t, school, one)), [])
  t.equal((await school.server.stop()).code, 0)
})

t.test(
  'a disk that fills up before the snapshot has it delays the snapshot, and loses nothing',
  async (t) => {
    if (!canBackUp(t)) return
    const disk = await smallDisk(t, 48)
    if (disk === undefined) return
    const school = await openSchool(t, { archive: join(disk, 'backup') })
    const learner = await enrolLearner(t, school, { entries: 8, megabytes: 3 })
    t.equal((await push(learner)).code, 0)
    await quiet(school)
    const old = await takeInventory(learner.datastore)

    // Room for what comes, none for the snapshot of it: text that packs is written a second time.
    writeFileSync(join(learner.datastore, 'notes'), randomBytes(6_000_000).toString('base64'))
    await fill(disk, 11_000_000)
    t.match(await push(learner), { code: 0 })
    const flags = async () => (await school.list()).flatMap((one) => one.flags)
    t.same(await flags(), ['snapshot-failed'])
    t.equal((await school.snapshots(learner.uid)).length, 1)
    t.same(differences(old, await restored(t, school, learner)), [], 'the old one stands')
    writeFileSync(join(learner.datastore, 'notes'), 'no more')
    const refused = await push(learner)
    t.not(refused.code, 0, 'what is not in a snapshot yet is not written over')
    t.match(refused.said, /the disk of the school server is full/)
    t.match(await school.ask('prune'), { code: 0 })
    t.match(await school.ask('verify'), { code: 0 })
    const [first] = await school.snapshots(learner.uid)
    const fetched = await pull(learner, `snapshots/${first?.id}`, 'fetched')
    t.match(fetched.said, /the disk of the school server is full/, 'what cannot be laid out is not begun')

    await empty(disk)
    t.match(await push(learner), { code: 0 })
    await wellKept(t, school, 'all is well')
    t.same(differences(await takeInventory(learner.datastore), await restored(t, school, learner)), [])
    t.same(
      (await school.list()).flatMap(({ flags }) => flags),
      [],
      'and nothing is flagged any more',
    )

    writeFileSync(join(learner.datastore, 'notes'), randomBytes(6_000_000).toString('base64'))
    await fill(disk, 11_000_000)
    t.match(await push(learner), { code: 0 })
    t.same(await flags(), ['snapshot-failed'])
    t.equal((await school.server.stop()).code, 0)
    await empty(disk)
    const sent = await takeInventory(learner.datastore)
    const alone = await restored(t, school, learner, '--backup-path', school.archive)
    t.same(differences(sent, alone), [], 'also with no server there')
    await school.start()
    t.equal((await school.server.stop()).code, 0)
  },
)

t.test('a disk without an inode left refuses with words, and prune makes room again', async (t) => {
  if (!canBackUp(t)) return
  const disk = await smallDisk(t, 32, ',nr_inodes=2500')
  if (disk === undefined) return
  const rules = ['last', 'daily', 'weekly', 'monthly'].flatMap((rule) => [`--backup-keep-${rule}`, '0'])
  const school = await openSchool(t, { archive: join(disk, 'backup'), args: rules })
  const learner = await enrolLearner(t, school, { entries: 20, megabytes: 1 })
  const other = await enrolLearner(t, school, { entries: 150, megabytes: 1 })
  for (let day = 0; day < 4; day += 1) {
    writeFileSync(join(learner.datastore, 'film'), randomBytes(3_000_000 + day))
    t.match(await push(learner), { code: 0 })
    await quiet(school)
  }
  const safe = await takeInventory(learner.datastore)
  const { code, said } = await push(other)
  t.not(code, 0)
  t.match(said, /the disk of the school server is full|No space left/)
  t.same(differences(safe, await restored(t, school, learner)), [])

  await fill(disk)
  t.match(
    await school.ask('prune'),
    { code: 0, err: /3 of 4 snapshots removed, .* MB freed/ },
    'with no byte free',
  )
  await empty(disk)
  await wellKept(t, school, 'all is well')
  t.equal((await school.snapshots(learner.uid)).length, 1)
  t.same(differences(safe, await restored(t, school, learner)), [])
  t.equal(spawnSync('mount', ['-o', 'remount,nr_inodes=50000', disk]).status, 0)
  await changeJournal(learner.datastore, { percent: 10 })
  for (const one of [learner, other]) t.match(await push(one), { code: 0 })
  await wellKept(t, school, 'and goes on')
  t.same(differences(await takeInventory(learner.datastore), await restored(t, school, learner)), [])
  t.equal((await school.server.stop()).code, 0)
})
