import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  canBackUp,
  enrolLearner,
  type Learner,
  openSchool,
  push,
  quiet,
  type School,
} from '../../support/backup/backup-school.js'
import { cli, until } from '../../support/core/server-process.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.setTimeout(600_000)

const digestOf = async (school: School, uid: string): Promise<string> => {
  const store = await import('node:fs/promises').then(({ readFile }) =>
    readFile(join(school.root, 'store', 'backup.ledger.db'), 'utf8'),
  )
  return [...store.matchAll(/\\"digest\\":\\"([0-9a-f]{64})\\"/g)].at(-1)?.[1] ?? `none of ${uid}`
}

const ask = async (school: School, { uid }: Learner, digest = '') => {
  const question = `http://127.0.0.1:${school.ports.http}/backup/uuid/available/${uid}`
  const answer = await fetch(digest === '' ? question : `${question}?journal=${digest}`)
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), text: await answer.text() }
}

const health = async (school: School) => {
  const answer = await fetch(`http://127.0.0.1:${school.ports.http}/health`)
  return { status: answer.status, body: await answer.json() }
}

/** A school with one backup on a disk of its own. */
async function schoolOnDisk(t: Test) {
  const disk = await temporaryDirectory(t)
  const archive = join(disk, 'backup')
  const school = await openSchool(t, { archive })
  const ana = await enrolLearner(t, school, { entries: 5 })
  t.match(await push(ana), { code: 0 })
  await quiet(school)
  const digest = await digestOf(school, ana.uid)
  t.match(await ask(school, ana, digest), { status: 204 })
  return { school, ana, archive, digest, away: join(disk, 'unplugged') }
}

/** What all are told while the disk is away. */
async function isAway(t: Test, school: School, ana: Learner, digest: string): Promise<void> {
  const busy = {
    status: 503,
    retryAfter: /^\d+$/,
    text: /cannot reach its backups now; please tell your teacher/,
  }
  t.match(await ask(school, ana, digest), busy, 'not 204: what was kept is not here')
  t.match(await ask(school, ana), busy)
  t.match(await push(ana), { code: /[1-9]/, said: /cannot reach its backups now[\s\S]*tell your teacher/ })
  t.match(await health(school), {
    status: 503,
    body: { status: 'degraded', plugins: { backup: 'unavailable' } },
  })
  const { plugins } = await school.server.status()
  t.match(
    plugins.find(({ name }) => name === 'backup'),
    {
      state: 'unavailable',
      code: 'WRONG_DIRECTORY',
      message: /the disk with the backups is not mounted at/,
      hint: /mount the disk.*sugar-server accept-directory backup-path/,
    },
  )
  for (const words of ['list', `snapshots ${ana.uid}`, 'verify', 'prune']) {
    const { code, err } = await (words === 'list' ? school.backup : school.ask)(...words.split(' '))
    t.equal(code, 69, words)
    t.match(err, /is not mounted at[\s\S]*accept-directory backup-path/, words)
  }
}

t.test(
  'a disk that is not there at the start: words, 503, nothing written; it comes back by itself',
  async (t) => {
    if (!canBackUp(t)) return
    const { school, ana, archive, digest, away } = await schoolOnDisk(t)
    await school.server.stop()
    renameSync(archive, away)
    const args = ['check', '--root', school.root, '--backup-path', archive]
    const checked = await cli(t, [...args, '--httpd-port', '0', '--id-port', '0', '--backup-ssh-port', '0'])
    t.equal(checked.code, 1)
    t.match(checked.out, /PROBLEM.*the disk with the backups is not mounted at .*: the directory is missing/)
    t.match(checked.out, /mount the disk/)
    await school.start()
    await isAway(t, school, ana, digest)
    t.notOk(existsSync(archive), 'nothing is made in its place')
    mkdirSync(archive)
    await isAway(t, school, ana, digest)
    t.strictSame(readdirSync(archive), [])

    rmSync(archive, { recursive: true })
    renameSync(away, archive)
    await until(async () => (await health(school)).status === 200, 'the disk to be noticed')
    t.match(await ask(school, ana, digest), { status: 204 })
    t.match(await push(ana), { code: 0 })
    await quiet(school)
    t.match(await school.list(), [{ uid: ana.uid, snapshots: 1 }])
  },
)

t.test(
  'a disk that goes and comes while the server runs is noticed before anything is written',
  async (t) => {
    if (!canBackUp(t)) return
    const { school, ana, archive, digest, away } = await schoolOnDisk(t)
    renameSync(archive, away)
    mkdirSync(archive)
    await isAway(t, school, ana, digest)
    t.strictSame(readdirSync(archive), [])
    rmSync(archive, { recursive: true })
    renameSync(away, archive)
    t.match(await ask(school, ana, digest), { status: 204 })
    t.match(await push(ana), { code: 0 })
    t.match(await health(school), { status: 200 })
  },
)

t.test('another place is accepted on purpose, and nothing untrue is said of it', async (t) => {
  if (!canBackUp(t)) return
  const { school, ana, archive, digest, away } = await schoolOnDisk(t)
  renameSync(archive, away)
  mkdirSync(archive)
  t.match(await ask(school, ana, digest), { status: 503 })
  const accepted = await cli(t, ['accept-directory', 'backup-path', '--root', school.root])
  t.match(accepted, { code: 0, err: '', out: new RegExp(`${archive} is the directory with the backups`) })
  await until(async () => (await health(school)).status === 200, 'the new place to be taken up')
  t.match(await ask(school, ana, digest), { status: 200 }, 'it has no Journal of hers')
  t.match(await school.list(), [{ uid: ana.uid, lastGood: null, snapshots: 0 }])
  t.match(await push(ana), { code: 0 })
  await quiet(school)
  t.match(await school.list(), [{ uid: ana.uid, lastGood: /^20/, snapshots: 1 }])

  // Without a server, back to the first one.
  await school.server.stop()
  renameSync(archive, `${away}-2`)
  renameSync(away, archive)
  const offline = ['--root', school.root, '--backup-path', archive]
  t.match(await cli(t, ['backup', 'list', ...offline]), { code: 69, err: /has another identity/ })
  t.match(await cli(t, ['accept-directory', 'backup-path', ...offline]), { code: 0 })
  t.match(await cli(t, ['backup', 'list', ...offline]), { code: 0 })
  const wrong = await cli(t, ['accept-directory', 'nonsense', ...offline])
  t.match(wrong, {
    code: 66,
    err: /no enabled plugin has a directory nonsense[\s\S]*name one of store, backup-path/,
  })
})
