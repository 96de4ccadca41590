import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { changeJournal, differences, digestJournal, takeInventory } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  pull,
  push,
  quiet,
  type School,
} from '../../support/backup/backup-school.js'
import { slowSync } from '../../support/backup/slow-sync.js'
import { canRunSshd, installedProgram, startSshd } from '../../support/backup/system-sshd.js'
import { until } from '../../support/core/server-process.js'
import { freePorts } from '../../support/free-port.js'
import { processes } from '../../support/processes.js'

t.setTimeout(600_000)

const markOf = (school: School, { uid }: Learner): string => {
  try {
    return readFileSync(join(school.archive, 'marks', uid), 'latin1').split(' ')[0] ?? ''
  } catch {
    return 'none'
  }
}

const rsyncsOf = (school: School): number =>
  processes().filter(
    ({ name, words }) => name === 'rsync' && words.some((word) => word.includes(school.archive)),
  ).length

/** Every file below a directory. */
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name))

/** What a power cut leaves of a file that was not flushed: its length and its time, and zeros inside. */
function tear(path: string): void {
  const { size, atime, mtime } = statSync(path)
  writeFileSync(path, Buffer.alloc(size))
  utimesSync(path, atime, mtime)
}

const sumOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

/** The machine starts again: all marks are of another start. */
function restartMachine({ archive }: School): void {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const folder = join(archive, 'marks')
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), 'latin1')
    writeFileSync(join(folder, name), text.replace(boot, '00000000-0000-4000-8000-000000000000'))
  }
}

/** Whether the laptop would be told that all it has is here already. */
async function isKnown(school: School, { uid, datastore }: Learner): Promise<boolean> {
  const { sha256 } = await digestJournal(datastore)
  const url = `http://127.0.0.1:${school.ports.http}/backup/uuid/available/${uid}?journal=${sha256}`
  const { status } = await fetch(url)
  return status === 204
}

async function compare(t: Test, school: School, learner: Learner, says: string): Promise<void> {
  const to = join(learner.home, 'fetched')
  rmSync(to, { recursive: true, force: true })
  t.match(await pull(learner, 'snapshots/latest', to), { code: 0 })
  t.same(differences(await takeInventory(learner.datastore), await takeInventory(to)), [], says)
  t.match(await school.ask('verify'), { code: 0 })
}

/** What both transports have to hold to. */
async function acknowledge(
  t: Test,
  args: readonly string[],
  prepare: (school: School) => Promise<void>,
  ssh?: number,
) {
  const disk = await slowSync(t)
  const school = await openSchool(t, { args, env: disk.env, ...(ssh !== undefined && { ssh }) })
  await prepare(school)
  const learner = await enrolLearner(t, school, { entries: 6, megabytes: 0.5 })
  const server = () => school.server.child.pid

  disk.hold()
  let code: number | undefined
  const sending = push(learner).then((transfer) => {
    code = transfer.code
  })
  await until(
    () => disk.begun(server()) === 1 && rsyncsOf(school) === 0,
    'rsync to end and the flush to begin',
  )
  t.equal(markOf(school, learner), 'dirty', 'no snapshot is due while it is not on the disk')
  t.match(await school.status(), { running: 1 })
  t.equal(code, undefined, 'and the laptop waits')
  disk.release()
  await sending
  t.equal(code, 0)
  t.equal(disk.ended(server()), 1, 'one flush')
  await quiet(school)
  t.equal((await school.snapshots(learner.uid)).length, 1)

  t.match(await push(learner), { code: 0 })
  t.equal(disk.begun(server()), 1, 'nothing is flushed for a Journal that is as it was')

  await changeJournal(learner.datastore, { percent: 20, seed: 'a' })
  disk.fault('sync: error syncing: Input/output error\n')
  const refused = await push(learner)
  t.match(refused, {
    code: 75,
    said: /sugar-server: what you sent is not safe: the disk .* could not write it/,
  })
  t.match(refused.said, /tell your teacher/)
  await quiet(school)
  t.equal((await school.snapshots(learner.uid)).length, 1)
  const { health } = await school.server.status()
  t.match(health, [{ plugin: 'backup', what: 'flush', problem: /the disk is failing; look at the disk/ }])
  t.ok(
    school.server.log().some(({ level, msg }) => level >= 50 && /could not be written to the disk/.test(msg)),
  )
  disk.fault(undefined)
  t.match(await push(learner), { code: 0 })
  await quiet(school)
  await compare(t, school, learner, 'all of it was sent again')
  t.match(await school.list(), [{ flags: [], lastGood: /^2/ }])
}

t.test('exit code 0 comes when the disk has it, and not where the disk fails', async (t) => {
  if (!canBackUp(t)) return
  await acknowledge(t, [], async () => undefined)
})

t.test('over sshd too', async (t) => {
  if (!canBackUp(t) || !canRunSshd(t)) return
  const [ssh = 0] = await freePorts(1)
  const prepare = (school: School) =>
    startSshd(t, ssh, [
      'AuthorizedKeysFile none',
      `AuthorizedKeysCommand ${installedProgram(t)} backup keys --root ${school.root} %t %k`,
      'AuthorizedKeysCommandUser root',
    ])
  await acknowledge(t, ['--backup-transport', 'sshd'], async (school) => void (await prepare(school)), ssh)
})

t.test('sixteen laptops that end at once share two flushes', async (t) => {
  if (!canBackUp(t)) return
  const disk = await slowSync(t)
  const school = await openSchool(t, { args: ['--backup-slots', '16'], env: disk.env })
  const learners: Learner[] = []
  for (let count = 0; count < 16; count += 1)
    learners.push(await enrolLearner(t, school, { entries: 1, megabytes: 0.05 }))
  disk.hold()
  const all = learners.map((learner) => push(learner))
  const hasCome = (learner: Learner) => markOf(school, learner) === 'dirty'
  await until(
    () => learners.every(hasCome) && rsyncsOf(school) === 0 && disk.begun(school.server.child.pid) === 1,
    'all to wait for the disk',
  )
  disk.release()
  for (const { code } of await Promise.all(all)) t.equal(code, 0)
  t.equal(disk.begun(school.server.child.pid), 2)
  await quiet(school)
  t.equal((await school.list()).filter(({ lastGood }) => lastGood !== null).length, 16)
})

t.test('what a power cut tore in the middle of a session is sent again', async (t) => {
  if (!canBackUp(t)) return
  const disk = await slowSync(t)
  const school = await openSchool(t, { env: disk.env })
  const learner = await enrolLearner(t, school, { entries: 6, megabytes: 0.5 })
  t.match(await push(learner), { code: 0 })
  await quiet(school)
  const [before] = await school.list()
  const live = join(school.archive, 'live', learner.uid, 'datastore-current')
  const old = new Map(filesIn(live).map((path) => [path, sumOf(path)]))
  // The stamps of files are looked at by the second.
  await sleep(2100)
  await changeJournal(learner.datastore, { percent: 50, seed: 'b' })
  disk.hold()
  const sending = push(learner)
  await until(() => disk.begun(school.server.child.pid) > 1 && rsyncsOf(school) === 0, 'all to be sent')
  await school.server.kill9()
  t.not((await sending).code, 0)
  disk.release()
  const fresh = filesIn(live).filter((path) => old.get(path) !== sumOf(path))
  t.ok(fresh.length > 3)
  for (const path of fresh) tear(path)
  restartMachine(school)
  await school.start()
  t.match(await school.list(), [{ flags: ['unconfirmed'], lastGood: before?.lastGood, snapshots: 1 }])
  t.match(
    (await school.backup('list')).err,
    /unconfirmed: the machine stopped, or its disk failed, before \d+ files/,
  )
  t.match((await school.status()).flagged, [{ uid: learner.uid, flag: 'unconfirmed' }])
  t.notOk(await isKnown(school, learner))
  t.match(await push(learner), { code: 0 })
  await quiet(school)
  await compare(t, school, learner, 'nothing of it is zeros')
  t.match(await school.list(), [{ flags: [], snapshots: 2 }])
  t.ok(await isKnown(school, learner))
})

t.test(
  'a disk that lied about what was acknowledged is flagged, and the laptop sends it again',
  async (t) => {
    if (!canBackUp(t)) return
    const school = await openSchool(t)
    const learner = await enrolLearner(t, school, { entries: 3, megabytes: 0.3 })
    t.match(await push(learner), { code: 0 })
    await quiet(school)
    await school.server.kill9()
    const { archive, root } = school
    const live = join(archive, 'live', learner.uid)
    // As an earlier version marked what it had acknowledged: nothing is known of what had been flushed.
    writeFileSync(join(archive, 'marks', learner.uid), 'whole 00000000-0000-4000-8000-000000000000')
    for (const folder of ['snapshots', 'objects'])
      for (const name of readdirSync(join(archive, folder)))
        rmSync(join(archive, folder, name), { recursive: true })
    writeFileSync(join(root, 'store', 'backup.ledger.db'), '')
    const torn = filesIn(live).filter((path) => /\/(data|title)$/.test(path))
    t.ok(torn.length > 3)
    for (const path of torn) tear(path)
    await school.start()
    t.match(await school.list(), [{ flags: ['unconfirmed'], lastGood: null, snapshots: 1 }])
    const [taken] = await school.snapshots(learner.uid)
    t.match(taken, { unconfirmed: true })
    t.match(await school.ask('verify'), {
      code: 0,
      out: new RegExp(`unconfirmed: ${learner.uid} ${taken?.id}`),
    })
    t.match(
      await school.ask('restore', learner.serial, '--to', join(learner.home, 'restored')),
      { code: 0, err: /before the laptop came again: files may be torn/ },
      'who restores it is told',
    )
    t.notOk(await isKnown(school, learner))
    t.match(await push(learner), { code: 0 })
    await quiet(school)
    await compare(t, school, learner, 'nothing of it is zeros')
    const [listed] = await school.list()
    t.match(listed, { flags: [], snapshots: 2, lastGood: /^2/ })
  },
)
