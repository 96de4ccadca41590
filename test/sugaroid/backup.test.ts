import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  backUp,
  changeJournal,
  datastoreOf,
  differences,
  digestJournal,
  laptopsDay,
  makeJournal,
  openIdentity,
  parseBackupUrl,
  parseRetryAfter,
  placeOf,
  readSettings,
  restoreJournal,
  StepFailed,
  takeInventory,
  wipeJournal,
} from '../../sugaroid/index.js'
import { needs } from '../support/needs.js'
import { opensshHasDsa } from '../support/openssh.js'
import { runs } from '../support/rounds.js'
import { canned, reply, struct, sugaroid } from '../support/sugaroid/fake-servers.js'
import { close, enrol, school, user } from '../support/sugaroid/sshd-school.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

const go = 'HTTP/1.1 200 OK'
const unchanged = 'HTTP/1.1 204 No Content'
const busy = (after?: string) =>
  `HTTP/1.1 503 Service Unavailable${after === undefined ? '' : `\r\nRetry-After: ${after}`}`

const equipped = (t: Test) =>
  needs(t, 'rsync', 'rsync') && needs(t, 'ssh', 'openssh-client') && needs(t, 'sshd', 'openssh-server')

const digestOf = async (home: string) => (await digestJournal(datastoreOf(home))).sha256
const firstLine = (request: string | undefined) => request?.split('\r\n')[0]

t.test('a Journal goes to the server, changes go after it, and all comes back as it was', async (t) => {
  if (!equipped(t)) return
  const at = await school(t, [go])
  const home = await enrol(
    t,
    at,
    join(await temporaryDirectory(t), "a child's home"),
    opensshHasDsa ? 'dsa' : 'rsa',
  )
  const datastore = datastoreOf(home)
  await makeJournal(datastore, { entries: 25, megabytes: 1 })
  const { uid } = await openIdentity(home)
  const uuid = await readFile(join(home, 'default', 'identifiers', 'uuid'), 'utf8')

  t.match(await backUp(home), { outcome: 'sent', parts: ['current'], said: '' })
  t.equal(
    firstLine(at.http.requests[0]),
    `GET /backup/uuid/available/${uuid}?journal=${await digestOf(home)} HTTP/1.1`,
  )
  t.match((await at.commands())[0], /^rsync --server -\w+\.\w* --timeout=160 --delete --partial \. current$/)
  const current = join(at.tree, 'current')
  t.same(differences(await takeInventory(datastore), await takeInventory(current)), [])
  t.match(await readFile(join(home, 'known_hosts'), 'utf8'), /^\[127\.0\.0\.1\]:\d+ ssh-ed25519 /)

  await changeJournal(datastore, { percent: 40 })
  t.match(await sugaroid('backup', '--home', home), {
    code: 0,
    out: 'The Journal is on the school server.\n  sent  current\n',
    err: '',
  })
  const before = await takeInventory(datastore)
  t.same(differences(before, await takeInventory(current)), [], 'what was removed is removed there, too')

  t.match(await sugaroid('restore', '--home', home), {
    code: 74,
    err: /is not empty.*\n {2}.*--to DIR.*--wipe/,
  })
  await wipeJournal(datastore)
  t.match(await sugaroid('restore', '--home', home), { code: 0, out: /^The Journal is back\.\n/ })
  t.same(differences(before, await takeInventory(datastore)), [])
  t.equal((await openIdentity(home)).uid, uid)
  t.same((await readdir(join(home, 'default'))).sort(), [
    'datastore',
    'identifiers',
    'owner.key',
    'owner.key.pub',
  ])
})

t.test('a dated snapshot comes back beside the Journal', async (t) => {
  if (!equipped(t)) return
  const at = await school(t, [go])
  const home = await enrol(t, at, await temporaryDirectory(t))
  await makeJournal(datastoreOf(home), { entries: 4 })
  const before = await takeInventory(datastoreOf(home))
  await backUp(home)
  await rename(join(at.tree, 'current'), join(at.tree, 'snapshots', '2026-03-02T10-00-00Z'))
  const to = join(await temporaryDirectory(t), 'deep', 'as of march')

  const lost = await restoreJournal(home, { to })
  t.match(lost, { outcome: 'failed', code: 23, said: /No such file/ })
  t.match(await sugaroid('restore', '--home', home, '--to', to), {
    code: 69,
    out: /did not come back.*rsync/s,
  })
  const json = await sugaroid('restore', '--home', home, '--to', to, '--json')
  t.match(JSON.parse(json.out), { outcome: 'failed', partial: /restoring$/ })
  const back = await sugaroid(
    'restore',
    '--home',
    home,
    '--to',
    to,
    '--snapshot',
    '2026-03-02T10-00-00Z',
    '--json',
  )
  t.match(JSON.parse(back.out), { outcome: 'restored', directory: to, digest: await digestOf(home) })
  t.same(differences(before, await takeInventory(to)), [])
  t.match((await at.commands()).at(-1), / --sender .* snapshots\/2026-03-02T10-00-00Z\/$/)
  for (const snapshot of ['..', '-e', 'a/b', 'a b', '']) {
    await t.rejects(restoreJournal(home, { to: `${to}2`, snapshot }), { name: 'UsageError' }, snapshot)
  }
})

t.test('a Journal that the server has already is not sent again', async (t) => {
  if (!equipped(t)) return
  const at = await school(t, [unchanged])
  const home = await enrol(t, at, await temporaryDirectory(t))
  await makeJournal(datastoreOf(home), { entries: 2 })
  t.strictSame(await backUp(home), { outcome: 'unchanged' })
  t.match(await sugaroid('backup', '--home', home), { code: 0, out: /has this Journal already/ })
  t.same(await at.commands(), [])
  await backUp(home, { digest: false })
  t.notMatch(firstLine(at.http.requests.at(-1)), 'journal=', 'one that does not tell its digest')
})

t.test('a busy server is asked again when it says, and not for ever', async (t) => {
  if (!equipped(t)) return
  const at = await school(t, [busy('1'), busy('0'), busy('7'), go])
  const home = await enrol(t, at, await temporaryDirectory(t))
  await makeJournal(datastoreOf(home), { entries: 2 })
  const cut = await sugaroid('backup', '--home', home, '--patience', '5')
  t.match(cut, {
    code: 75,
    out: /^The school server is busy: waiting 1 s\nThe .*waiting 1 s\nThe school server is too busy\.\n/,
  })
  t.match(cut.out, /waited +2 s\n +come back in +7 s/)
  t.match(cut.err, '--patience')
  t.equal(at.http.requests.length, 3)
  t.match(await backUp(home), { outcome: 'sent' })
})

t.test(
  'the old client asks by serial, sends its three parts and the marker, and waits as it did',
  async (t) => {
    if (!equipped(t)) return
    const at = await school(t, [busy('1'), busy(), go])
    const home = await enrol(t, at, await temporaryDirectory(t))
    const datastore = datastoreOf(home)
    await makeJournal(datastore, { entries: 3 })
    const waits: number[] = []
    const legacy = {
      legacy: true,
      patience: 1000,
      waiting: (seconds: number) => void waits.push(seconds),
      sleep: async () => undefined, // the clock
    }
    t.strictSame(await backUp(home, legacy), {
      outcome: 'sent',
      parts: ['datastore-current'],
      missing: 'power-logs',
      said: '',
    })
    t.same(waits, [120, 240], 'it reads no Retry-After')
    t.equal(firstLine(at.http.requests[0]), `GET /backup/1/available/${user} HTTP/1.1`)
    t.notOk((await readdir(at.tree)).includes(user), 'no marker without power-logs')

    await mkdir(join(home, 'power-logs'))
    await mkdir(join(home, 'Documents'))
    await writeFile(join(home, 'Documents', 'notes.txt'), 'mine')
    t.match(await sugaroid('backup', '--home', home, '--legacy'), {
      code: 0,
      out: /sent +datastore-current, power-logs, documents, marker\n/,
    })
    const commands = (await at.commands()).slice(1)
    const sent = (name: string) =>
      new RegExp(`^rsync --server -\\w*z\\w*\\.\\w* --timeout=160 --delete --partial \\. ${name}$`)
    for (const [at, name] of ['datastore-current', 'power-logs', 'documents'].entries()) {
      t.match(commands[at], sent(name))
    }
    t.match(commands[3], /--timeout=10 .*--temp-dir[= ]\/tmp \. \/var\/lib\/ds-backup\/completion\/\w+$/)
    t.equal((await stat(join(at.tree, user))).size, 0)
    t.equal(await readFile(join(at.tree, 'documents', 'notes.txt'), 'utf8'), 'mine')
    t.equal((await digestJournal(join(at.tree, 'datastore-current'))).sha256, await digestOf(home))
  },
)

t.test('the old client gives up for the day after two hours', async (t) => {
  if (!equipped(t)) return
  const at = await school(t, [busy('1')])
  const home = await enrol(t, at, await temporaryDirectory(t))
  await makeJournal(datastoreOf(home), { entries: 1 })
  const legacy = { legacy: true, patience: 86_400, sleep: async () => undefined }
  t.strictSame(await backUp(home, legacy), { outcome: 'busy', waited: 126 * 60 })
  t.equal(at.http.requests.length, 7)
})

t.test('a refusal, a failed transfer and a server that is not there end with what to do', async (t) => {
  if (!equipped(t)) return
  const at = await school(t, ['HTTP/1.1 404 Not Found', 'HTTP/1.1 400 Bad Request', go])
  const home = await enrol(t, at, await temporaryDirectory(t))
  await makeJournal(datastoreOf(home), { entries: 1 })
  const run = (...args: string[]) => sugaroid('backup', '--home', home, ...args)
  t.match(await run(), { code: 77, out: /status +404\n +server says +no such laptop\n/, err: /httpd-port/ })
  t.match(JSON.parse((await run('--json')).out), { outcome: 'refused', status: 400, text: 'no such laptop' })
  await close(at)
  t.match(await run(), { code: 69, out: /transfer failed.*because +the disk is full/s, err: /try again/ })
  t.match(await restoreJournal(home, { to: join(home, 'x') }), {
    outcome: 'failed',
    said: /the disk is full/,
  })
  t.match(await run('--server', '127.0.0.1:1'), { code: 69, out: /ECONNREFUSED/, err: /httpd-port/ })
  const garbled = await canned(t, Buffer.from('hello\r\n\r\n'))
  t.match(await run('--server', `127.0.0.1:${garbled.port}`), { code: 76 })
  t.equal((await run('--patience', 'x')).code, 64)

  const stranger = await enrol(t, await school(t, [go]), await temporaryDirectory(t))
  await makeJournal(datastoreOf(stranger), { entries: 1 })
  await writeFile(join(stranger, 'settings.json'), await readFile(join(home, 'settings.json'), 'utf8'))
  // rsync's own code, or ssh's: whichever it hears of first.
  t.match(await backUp(stranger), { outcome: 'failed', said: /Permission denied \(publickey/ })
})

t.test('without registration, Journal, rsync or ssh the laptop says what is missing', async (t) => {
  if (!equipped(t)) return
  const at = await school(t, [go])
  const bare = await temporaryDirectory(t)
  t.match(await sugaroid('backup', '--home', bare), {
    code: 74,
    err: /not registered\n {2}.*sugaroid register/,
  })
  t.match(await sugaroid('restore', '--home', bare), { code: 74, err: /not registered/ })
  const home = await enrol(t, at, await temporaryDirectory(t))
  t.match(await sugaroid('backup', '--home', home), { code: 74, err: /no Journal.*\n {2}.*sugaroid journal/ })
  await writeFile(join(home, 'default', 'identifiers', 'sn'), '-oProxyCommand=x')
  t.match(await sugaroid('backup', '--home', home), { code: 74, err: /identifiers.sn.*\n {2}register again/ })

  const path = process.env.PATH
  t.teardown(() => {
    process.env.PATH = path
  })
  const programs = await temporaryDirectory(t)
  process.env.PATH = programs
  await t.rejects(backUp(home), { message: /rsync is not/, hint: /apt-get install rsync/ })
  await writeFile(join(programs, 'rsync'), '')
  await chmod(join(programs, 'rsync'), 0o755)
  await t.rejects(restoreJournal(home), { message: /ssh is not/, hint: /apt-get install openssh-client/ })
  process.env.PATH = path
  t.same(at.http.requests, [], 'nobody was asked in vain')
})

t.test('the place of backups is read from what registration left, new and old', async (t) => {
  const config = { 'backup-url': 'ssh://ana@school:2222/current', 'backup-port': '8001' }
  t.strictSame(placeOf({ 'backup-url': 'ana@other:backup', config }), {
    user: 'ana',
    ssh: { host: 'school', port: 2222 },
    path: 'current',
    http: { host: 'school', port: 8001 },
  })
  t.match(placeOf({ 'backup-url': 'ana@other:backup' }), {
    ssh: { host: 'other', port: 22 },
    path: 'backup',
    http: { host: 'other', port: 8000 },
  })
  t.match(parseBackupUrl('ssh://ana@[fd00::1]/current'), { ssh: { host: 'fd00::1', port: 22 } })
  for (const text of [
    '',
    'school',
    'ana@school',
    'ana@school:',
    '-oProxyCommand=x@school:current',
    'ana@-school:current',
    'ana@school:-e',
    'ana@school:/etc',
    'ana@school:../bob',
    'ana@school:a/../../bob',
    'ana@school:a b',
    'ana@school:a;b',
    'ana@school:a\n',
    "ana'@school:a",
    'ssh://ana@school:0/current',
    'ssh://ana@school:65536/current',
    'ssh://school/current',
  ]) {
    t.equal(parseBackupUrl(text), undefined, JSON.stringify(text))
  }
  t.equal(placeOf({}), undefined)
  const home = await temporaryDirectory(t)
  const odd = struct({ success: 'OK', jabberserver: 'j', backupurl: '-oProxyCommand=x@h:p' })
  const server = await canned(t, reply(odd))
  await sugaroid('register', '--home', home, '--server', `${server.host}:${server.port}`)
  t.match(await readSettings(home), { 'backup-url': '-oProxyCommand=x@h:p' })
  t.match(await sugaroid('backup', '--home', home), { code: 74, err: /no place for backups/ })
})

t.test('no URL of a server becomes more than one harmless argument', async (t) => {
  const piece = fc.constantFrom(
    ...'ssh:// ssh u @ h : 22 / current .. - -e ; $(x) \n \0 [ ] ::1 % \' " ñ'.split(' '),
    ' ',
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join('')),
  )
  fc.assert(
    fc.property(text, (text) => {
      const place = parseBackupUrl(text)
      if (!place) return true
      const { user, ssh, path } = place
      const plain = [user, ssh.host, path].every(
        (word) => /^[\w.:/[\]-]+$/.test(word) && !word.startsWith('-'),
      )
      return plain && !path.startsWith('/') && !path.split('/').includes('..') && ssh.port > 0
    }),
    runs(3000),
  )
  t.pass('3000 URLs')
})

t.test('Retry-After is read in both its forms, and in no other', async (t) => {
  const now = Date.UTC(2026, 2, 2, 10)
  t.equal(parseRetryAfter('120', now), 120)
  t.equal(parseRetryAfter('Mon, 02 Mar 2026 10:01:00 GMT', now), 60)
  t.equal(parseRetryAfter('Mon, 02 Mar 2026 09:00:00 GMT', now), 0)
  for (const text of [
    undefined,
    '',
    '-1',
    '1.5',
    '1e9',
    '9'.repeat(10),
    'tomorrow',
    'Mon, 99 Mar 2026 10:01:00 GMT',
  ]) {
    t.equal(parseRetryAfter(text, now), undefined, String(text))
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      const seconds = parseRetryAfter(text, now)
      return seconds === undefined || (Number.isInteger(seconds) && seconds >= 0)
    }),
  )
})

t.test(
  "a laptop's day ends with all as it was, and stops where the server does not play along",
  async (t) => {
    if (!equipped(t)) return
    const at = await school(t, [go, go, unchanged])
    const home = await temporaryDirectory(t)
    await enrol(t, at, home)
    const server = { host: '127.0.0.1', port: 1 }
    const [register, ...steps] = laptopsDay(home, { server, entries: 10 })
    await t.rejects(async () => await register?.run(), StepFailed, 'nobody takes the registration')
    const told: string[] = []
    for (const { name, run } of steps) told.push(`${name}: ${await run()}`)
    t.match(told, [
      /^make a Journal: 10 entries, 1\.\d MB of data$/,
      /^back up: \d+ files, .* sent$/,
      /^a day at school: 1 entries renamed/,
      /^back up: .* sent$/,
      /^back up again: .* the server has it already$/,
      /^lose all: /,
      /^restore: \d+ files/,
      /^compare: \d+ names, contents, modes and times are equal$/,
    ])
    const [again] = steps.filter(({ name }) => name === 'back up')
    await t.rejects(async () => await again?.run(), { name: 'StepFailed', message: /has it already/ })
    await chmod(join(datastoreOf(home), 'version'), 0o600)
    await t.rejects(async () => await steps.at(-1)?.run(), {
      message: /^1 differ, the first is version: .*mode 600/,
    })

    const demo = await sugaroid('demo', '--server', '127.0.0.1:1', '--entries', '1')
    t.match(demo, {
      code: 76,
      out: '',
      err: /^register: the laptop's home is kept in (\S+)\n {2}Cannot connect to the server\./,
    })
    const [, kept = ''] = /kept in (\S+)/.exec(demo.err) ?? []
    t.ok((await stat(kept)).isDirectory())
    await rm(kept, { recursive: true })
  },
)
