import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryOfLive } from '../../../plugins/backup/archive/layout.js'
import { remoteShell } from '../../../sugaroid/backup/transfer.js'
import { backUp, differences, entryPath, listEntries, takeInventory } from '../../../sugaroid/index.js'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  pull,
  push,
  quiet,
  remote,
  type School,
  sharedSchool,
} from '../../support/backup/backup-school.js'
import { cli, until } from '../../support/core/server-process.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const nobody = 65534

interface Ended {
  code: number
  said: string
}

/** A push by a user to whom modes matter: root reads whatever it likes. */
function pushAsUser(learner: Learner, ...options: string[]): Promise<Ended> & { child: ChildProcess } {
  const isRoot = process.getuid?.() === 0
  if (isRoot) spawnSync('chown', ['-R', `${nobody}:${nobody}`, learner.home])
  const rsync = ['rsync', '-e', remoteShell(learner.account), ...options]
  const words = [...rsync, 'default/datastore/', remote(learner, 'datastore-current')]
  const as = isRoot ? ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'] : []
  const [program = '', ...args] = [...as, ...words]
  const child = spawn(program, args, {
    cwd: learner.home,
    env: { PATH: process.env.PATH, LC_ALL: 'C', HOME: learner.home },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('latin1').on('data', (text: string) => {
      said += text
    })
  const ended = new Promise<Ended>((resolve) =>
    child.once('close', (code) => resolve({ code: code ?? 20, said })),
  )
  return Object.assign(ended, { child })
}

/** As the client of OLPC XS sends. */
const xs = ['-z', '-rlt', '--partial', '--delete', '--timeout=160']

async function listed(school: School, { uid }: Learner) {
  await quiet(school)
  const found = (await school.list()).find((one) => one.uid === uid)
  if (found === undefined) throw new Error('the learner is not listed')
  return found
}

/** Paths of the files below a folder. */
const files = async (folder: string): Promise<string[]> =>
  [...(await takeInventory(folder)).keys()].filter((path) => statSync(join(folder, path)).isFile()).sort()

async function restored(t: Test, school: School, { uid }: Learner, ...more: string[]) {
  const to = join(await temporaryDirectory(t), 'restored')
  const { code, err } = await school.ask('restore', uid, '--to', to, ...more)
  return { to, code, err }
}

const openShared = sharedSchool()

for (const [client, options] of [
  ['a client of today', []],
  ['a client of protocol 29, which says nothing of it', ['--protocol=29']],
] as const) {
  t.test(`a file that cannot be read keeps no other from a snapshot: ${client}`, async (t) => {
    if (!canBackUp(t)) return
    const school = await openShared()
    const learner = await enrolLearner(t, school, { entries: 6, megabytes: 1 })
    const sent = [...xs, ...options]
    const [entry = ''] = await listEntries(learner.datastore)
    const bad = join(entryPath(learner.datastore, entry), 'metadata', 'title')
    const path = bad.slice(learner.datastore.length + 1)
    chmodSync(bad, 0)
    t.equal((await pushAsUser(learner, ...sent)).code, 23)
    t.match(await listed(school, learner), { lastGood: null, snapshots: 1, flags: ['incomplete'] })
    const all = await files(learner.datastore)
    const first = await restored(t, school, learner)
    t.equal(first.code, 0)
    t.match(first.err, /is incomplete: the laptop could not (read|send) some of its files/)
    t.same(
      await files(first.to),
      all.filter((one) => one !== path),
      'all others are there',
    )

    t.equal((await pushAsUser(learner, ...sent)).code, 23)
    t.match(await listed(school, learner), { lastGood: null, snapshots: 1, flags: ['incomplete'] })
    const named = new RegExp(`the laptop did not send 1 file: ${path}`)
    t.match(await school.status(), { flagged: [{ flag: 'incomplete', why: named }] })
    for (const words of [['status'], ['explain', learner.serial], ['backup', 'list']]) {
      const { out, err } = await cli(t, [...words, '--root', school.root])
      t.match(out + err, named, words.join(' '))
    }
    t.match((await restored(t, school, learner)).err, named)
    const asked = await fetch(
      `http://127.0.0.1:${school.ports.http}/backup/uuid/available/${learner.account.uuid}`,
    )
    t.equal(asked.status, 200, 'the laptop is not told that all is here')

    chmodSync(bad, 0o644)
    t.equal((await pushAsUser(learner, ...sent)).code, 0)
    const well = await listed(school, learner)
    t.match(well, { snapshots: 2, flags: [] })
    t.ok(well.lastGood)
    const second = await restored(t, school, learner)
    t.notMatch(second.err, /incomplete/)
    t.same(await files(second.to), all)

    // An older content of it is here, and nothing else changes.
    writeFileSync(bad, 'another and far longer title of it'.repeat(3))
    chmodSync(bad, 0)
    t.equal((await pushAsUser(learner, ...sent)).code, 23)
    if (options.length === 0) {
      t.match(await listed(school, learner), { lastGood: well.lastGood, snapshots: 2, flags: ['incomplete'] })
      t.equal((await pushAsUser(learner, ...sent)).code, 23)
      await quiet(school)
      t.match(await school.status(), { flagged: [{ flag: 'incomplete', why: named }] })
    }
    writeFileSync(join(learner.datastore, 'version'), '9')
    t.equal((await pushAsUser(learner, ...sent)).code, 23)
    t.match(await listed(school, learner), { lastGood: well.lastGood, snapshots: 3, flags: ['incomplete'] })
    const [, complete] = await school.snapshots(learner.uid)
    t.match(
      (await restored(t, school, learner)).err,
      `the last complete one is ${complete?.id}: --at ${complete?.id} gives it`,
    )
    rmSync(bad)
    t.equal((await pushAsUser(learner, ...sent)).code, 0)
    t.match(await listed(school, learner), { snapshots: 4, flags: [] })
  })
}

t.test('files that go while they are sent make an incomplete snapshot of what stayed', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const learner = await enrolLearner(t, school, { entries: 3 })
  writeFileSync(join(learner.datastore, '0 first'), randomBytes(400_000))
  for (let count = 0; count < 5; count += 1) writeFileSync(join(learner.datastore, `1 later ${count}`), 'x')
  const slow = pushAsUser(learner, '-rlt', '--bwlimit=100')
  await until(() => coming(school, learner).length > 0, 'the first file to come')
  rmSync(join(learner.datastore, '1 later 3'))
  t.equal((await slow).code, 24)
  t.match(await listed(school, learner), { snapshots: 1, lastGood: null, flags: ['incomplete'] })
  t.match(await school.status(), { flagged: [{ why: /files went away on the laptop while it sent them/ }] })
  t.equal((await push(learner)).code, 0)
  t.match(await listed(school, learner), { snapshots: 2, flags: [] })
})

t.test('a crash before the incomplete snapshot is taken does not make it a complete one', async (t) => {
  if (!canBackUp(t)) return
  const school = await openSchool(t)
  const learner = await enrolLearner(t, school, { entries: 3 })
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  await school.server.stop()
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  writeFileSync(join(school.archive, 'live', learner.uid, 'datastore-current', 'version'), '5')
  writeFileSync(join(school.archive, 'marks', learner.uid), `incomplete ${boot}`)
  await school.start()
  await until(async () => (await school.snapshots(learner.uid)).length === 2, 'the snapshot')
  t.match(await school.snapshots(learner.uid), [{}, { incomplete: /could not read some of its files/ }])
  t.match(await listed(school, learner), { flags: ['incomplete'] })
})

/** Bytes of each file that is not whole yet. */
function coming({ archive }: School, { uid }: Learner): number[] {
  const folder = join(archive, 'live', uid, temporaryOfLive)
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0)
}

/** Sends slowly, and is killed when so much of a file has come. */
async function breakOff(school: School, learner: Learner, bytes: number): Promise<void> {
  const sending = pushAsUser(learner, ...xs, '-p', '--bwlimit=2000')
  await until(() => coming(school, learner).some((size) => size >= bytes), 'enough to come')
  const { pid } = sending.child
  if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  await sending
  await quiet(school)
}

t.test('what is pulled is whole files of one state, also after a push that broke off', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const learner = await enrolLearner(t, school, { entries: 5 })
  const film = join(learner.datastore, 'film')
  const pulled = async (path: string) => {
    const to = join(await temporaryDirectory(t), 'pulled')
    mkdirSync(to)
    const { code, said } = await pull(learner, path, to)
    return { code, said, inventory: await takeInventory(to) }
  }
  writeFileSync(film, randomBytes(6_000_000))
  await breakOff(school, learner, 2_000_000)
  const none = await pulled('current')
  t.not(none.code, 0)
  t.match(none.said, /no backup of this laptop has come to its end yet/)
  const again = await pushAsUser(learner, ...xs, '-p', '--stats')
  t.equal(again.code, 0)
  const [, literal = '0'] = /Literal data: ([\d,]+)/.exec(again.said) ?? []
  t.ok(
    Number(literal.replaceAll(',', '')) < 4_200_000,
    `what had come is not sent again: ${literal} bytes were`,
  )
  await quiet(school)
  const good = await takeInventory(learner.datastore)
  const live = join(school.archive, 'live', learner.uid, 'datastore-current')
  t.notOk(existsSync(join(live, '.rsync-partial')), 'nothing of it is left')

  writeFileSync(film, randomBytes(7_000_000))
  writeFileSync(join(learner.datastore, 'a poem'), 'that comes before the film')
  await breakOff(school, learner, 1_000_000)
  t.equal(statSync(join(live, 'film')).size, 6_000_000, 'the film that was whole is so still')
  t.ok(existsSync(join(live, '.rsync-partial', 'film')), 'what has come of the other is beside it')
  const today = new Date().toISOString().slice(0, 10)
  for (const path of ['current', 'datastore-current', 'snapshots/latest', `snapshots/${today}`]) {
    const { code, inventory } = await pulled(path)
    t.equal(code, 0, path)
    t.same(differences(good, inventory), [], path)
  }
  t.match(await backUp(learner.home), { outcome: 'sent' })
  await quiet(school)
  const { inventory } = await pulled('current')
  t.same(differences(await takeInventory(learner.datastore), inventory), [])
  t.same((await listed(school, learner)).flags, [])
  t.match(await school.ask('verify'), { code: 0 })
})

t.test('documents that came in part are pulled without what is not whole', async (t) => {
  if (!canBackUp(t)) return
  const school = await openShared()
  const learner = await enrolLearner(t, school, { entries: 2 })
  t.equal((await push(learner)).code, 0)
  await quiet(school)
  const aside = join(school.archive, 'live', learner.uid, 'documents', '.rsync-partial')
  mkdirSync(aside, { recursive: true })
  writeFileSync(join(aside, 'letter'), 'Dear')
  writeFileSync(join(aside, '..', 'poem'), 'all of it')
  const to = join(await temporaryDirectory(t), 'documents')
  mkdirSync(to)
  t.equal((await pull(learner, 'documents', to)).code, 0)
  t.same(readdirSync(to), ['poem'])
  t.equal((await school.server.stop()).code, 0)
})
