import { chmod, cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import initSqlite from 'sql.js'
import t from 'tap'
import { ControlClient } from '../../core/control/client.js'
import { uidOf } from '../../sugaroid/index.js'
import { cliHere } from '../support/core/cli-here.js'
import {
  busyPort,
  cli,
  freePorts,
  idPorts,
  launch,
  logLines,
  pluginSource,
  program,
  run,
  startServer,
  until,
  written,
} from '../support/core/server-process.js'
import { needs } from '../support/needs.js'
import { madeUpKey } from '../support/ssh-keys.js'
import { enrol, newLaptop } from '../support/sugaroid/registrants.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

// Two hundred programs one after the other; elsewhere others may want the processors too.
t.setTimeout(400_000)

/** Of one plugin only, where no other has a part in the story. */
const idAlone = ['--plugins', 'id', ...idPorts]

/** The server of those who only look, until a story stops it. */
const school = await startServer(t)

const houseCommands = ['run', 'config', 'check', 'status', 'stop', 'plugins', 'explain']
const idCommands = ['list', 'show', 'alias', 'remove', 'import', 'export']

t.test('help is everywhere', async (t) => {
  const home = await temporaryDirectory(t)
  const whole = await cli(t, ['--help'], { home })
  t.match(whole, { code: 0, err: '' })
  for (const name of houseCommands) t.match(whole.out, new RegExp(`^ {2}${name} .*\\S$`, 'm'), name)
  for (const name of idCommands) t.match(whole.out, new RegExp(`^ {2}id ${name} .*\\S$`, 'm'), name)
  for (const option of ['config', 'root', 'httpd-port', 'plugins', 'strict', 'id-port'])
    t.match(whole.out, new RegExp(`^ {2}--${option}\\b`, 'm'), option)
  for (const words of [['-h'], ['help'], ['help', '--root', '/nowhere']])
    t.equal((await cli(t, words, { home })).out, whole.out, words.join(' '))

  const every = [...houseCommands.map((name) => [name]), ...idCommands.map((name) => ['id', name])]
  for (const words of every) {
    const title = words.join(' ')
    const help = await cliHere(t, [...words, '--help'], { home })
    t.match(help, { code: 0, err: '' }, title)
    t.match(help.out, new RegExp(`^Usage: sugar-server ${title}\\b`), title)
    t.equal(
      (await cliHere(t, ['help', ...words], { home })).out,
      help.out,
      `help ${title} is ${title} --help`,
    )
  }
  const plugin = await cli(t, ['id', '--help'], { home })
  t.match(plugin, { code: 0, err: '', out: /^Usage: sugar-server id COMMAND\n/ })
  for (const name of idCommands) t.match(plugin.out, new RegExp(`^ {2}id ${name} `, 'm'))
  t.match(plugin.out, /^ {2}--id-port PORT /m)
  t.match(await cli(t, ['help', 'status'], { home }), { code: 0, out: / --json / })
})

t.test('--version is the version and nothing else', async (t) => {
  const { code, out, err } = await cli(t, ['--version'])
  t.match({ code, err }, { code: 0, err: '' })
  t.match(out, /^\d+\.\d+\.\d+\n$/)
  t.equal((await cli(t, ['--version', '--root', '/nowhere'])).out, out)
})

t.test('a mistake on the command line ends with 64 and what was probably meant', async (t) => {
  const home = await temporaryDirectory(t)
  const cases: [string[], RegExp][] = [
    [['statsu'], /there is no command statsu; did you mean "status"\?\n {2}see sugar-server --help\n/],
    [['xyzzy'], /there is no command xyzzy\n/],
    [['id', 'lsit'], /there is no command id lsit; did you mean "id list"\?/],
    [['help', 'statsu'], /there is no command statsu/],
    [['--id-prot', '1'], /unknown option --id-prot; did you mean "id-port"\?/],
    [['status', '--jso'], /unknown option --jso; did you mean "json"\?/],
    [['--__proto__'], /unknown option --__proto__/],
    [['-x'], /unknown option -x\n/],
    [['--id-port'], /--id-port needs a value/],
    [['stop', '--json'], /stop does not take --json/],
    [['status', 'now'], /status does not take "now"/],
    [['explain'], /explain needs WHO\n {2}see sugar-server explain --help/],
    [['id', 'alias'], /id alias needs NEW/],
    [['id', 'export', '--format', 'xml', '--root', join(home, 'r')], /--format must be one of json, csv/],
    [['\u001b[2J'], /there is no command \\u001b\[2J/],
  ]
  for (const [words, says] of cases) {
    const { code, out, err } = await (words[0] === 'statsu' ? cli : cliHere)(t, words, { home })
    t.equal(code, 64, words.join(' '))
    t.equal(out, '')
    t.match(err, says)
  }
  t.match(await cli(t, ['id'], { home }), { code: 64, out: /^Usage: sugar-server id COMMAND/ })
})

t.test('a running server names its addresses and the next thing to type', async (t) => {
  const server = school
  const { out } = server.said
  t.match(out, /^sugar-server \d+\.\d+\.\d+ runs on .*\/root\n/)
  const [, register = ''] = /laptops register at (http:\/\/\S+)/.exec(out) ?? []
  const [, health = ''] = / {2}health +(http:\/\/\S+)/.exec(out) ?? []
  t.equal(register, `${await server.url('id')}/`)
  t.match(await (await fetch(health)).json(), { status: 'ok', plugins: { id: 'running' } })
  t.equal((await enrol(newLaptop(), register)).outcome, 'registered')

  const [, next = ''] = / {2}next +\S*sugar-server (.*)\n$/.exec(out) ?? []
  t.match(await cli(t, next.split(' ')), { code: 0, out: /^sugar-server \S+: ready\n/ })
})

t.test('the log is a JSON object a line when nobody watches', async (t) => {
  const server = await startServer(t, { args: idAlone })
  await enrol(newLaptop(), await server.url('id'))
  const { err } = await server.stop()
  const lines = err.trimEnd().split('\n')
  t.equal(logLines(err).length, lines.length, 'each line is one')
  for (const line of logLines(err)) t.match(line, { level: Number, time: Number, msg: String })
  // A busy machine adds a warning that the start takes long.
  const usual = logLines(err).filter(({ msg }) => !msg.includes(' has been in start for '))
  t.match(usual, [{ msg: 'request', method: 'POST', status: 200 }, {}, {}])
  t.notMatch(err, /00000000-0000-4000-8000/, "and holds no laptop's uuid")
})

t.test('the log is for people when a person watches', async (t) => {
  if (!needs(t, 'script', 'bsdutils')) return
  const home = await temporaryDirectory(t)
  const root = join(home, 'root')
  const words = [process.execPath, program, '--root', root, ...idAlone, '--strict']
  const server = run(t, ['script', '-qec', words.join(' '), '/dev/null'], { home })
  const phase = () =>
    new ControlClient(root).get('/status').then(
      (found) => (found as { phase: string }).phase,
      () => 'none yet',
    )
  await until(async () => (await phase()) === 'ready', 'the server to start')
  t.equal((await cli(t, ['stop', '--root', root], { home })).code, 0)
  const { code, out } = await server
  t.equal(code, 0)
  t.match(out, /^\d\d:\d\d:\d\d info {2}asked to stop: stopping\r\n\d\d:\d\d:\d\d info {2}stopped\r\n/m)
  t.notMatch(out, /"level"/)
})

t.test('status tells phase, plugins and the ports that were really taken', async (t) => {
  const server = school
  const found = await server.status()
  t.match(found, {
    phase: 'ready',
    version: /^\d+\.\d+\.\d+$/,
    plugins: [
      { name: 'id', state: 'running', ms: Number },
      { name: 'backup', state: 'running', ms: Number },
    ],
    health: [],
  })
  t.same(found.listeners.map(({ name, host }) => ({ name, host })).sort(byName), [
    { name: 'backup-ssh', host: '127.0.0.1' },
    { name: 'httpd', host: '127.0.0.1' },
    { name: 'id', host: '127.0.0.1' },
  ])
  for (const { name, port } of found.listeners) {
    t.ok(port > 0, `${name} has a port`)
    if (name === 'backup-ssh') continue
    t.equal((await fetch(`http://127.0.0.1:${port}/nowhere`)).status, 404, `${name} answers`)
  }
  const { code, out } = await cli(t, ['status', '--root', server.root])
  t.equal(code, 0)
  t.match(out, /^sugar-server \S+: ready\n/)
  t.match(out, /^id +running +\d+$/m)
  for (const { name, port } of found.listeners)
    t.match(out, new RegExp(`^${name} +127\\.0\\.0\\.1:${port}$`, 'm'))
})

const byName = (one: { name: string }, other: { name: string }): number => (one.name < other.name ? -1 : 1)

t.test('plugins lists what comes with the server and what runs', async (t) => {
  const broken = await written(t, 'broken.mjs', pluginSource('broken', 'api: 2,'))
  const other = await written(t, 'other.mjs', pluginSource('other', ''))
  const args = ['--plugins', `${other},${broken}`]
  const off = await cli(t, ['plugins', ...args, '--root', '/nowhere'])
  t.match(off, { code: 0, err: '' })
  t.match(off.out, /^PLUGIN +FROM +ENABLED +STATE +SUMMARY\n/)
  t.match(off.out, /^other +path +yes +- +the plugin other$/m)
  t.match(off.out, /^id +bundled +no +- +Registers laptops/m)
  t.match(off.out, /broken\.mjs +path +yes +- .*plugin API 2/)

  const server = await startServer(t, { args: [...freePorts, '--plugins', `id,${other},${broken}`] })
  const plugins = ['plugins', '--root', server.root, '--plugins', `id,${other},${broken}`]
  const on = await cli(t, plugins)
  t.match(on.out, /^id +bundled +yes +running +/m)
  t.match(on.out, /broken\.mjs +path +yes +failed +/m)
  const rows = JSON.parse((await cli(t, [...plugins, '--json'])).out)
  t.match(rows, [
    { name: 'id', source: 'bundled', enabled: true, state: 'running', summary: /^Registers/ },
    { name: 'other', source: 'path', enabled: true, state: 'running' },
    { name: broken, source: 'path', enabled: true, state: 'failed', problem: /plugin API 2/ },
  ])
})

t.test('check finds nothing wrong with a good machine, and starts nothing', async (t) => {
  const home = await temporaryDirectory(t)
  const root = join(home, 'deep', 'root')
  const config = await written(
    t,
    'good.conf',
    '[id]\nid-port = 0\n[core]\nhttpd-port = 0\nhost = 127.0.0.1\n',
  )
  const { code, out, err } = await cli(t, ['check', '--root', root, '--config', config], { home })
  t.match({ code, err }, { code: 0, err: '' })
  t.match(out, `settings  ${config}\nplugin    id\nplugin    backup\nall is well\n`)
  t.rejects(chmod(join(home, 'deep'), 0o700), { code: 'ENOENT' }, 'nothing was made')
  const json = await cli(t, ['check', '--json', '--root', root, '--config', config], { home })
  t.equal(json.code, 0)
  const { machine, ...rest } = JSON.parse(json.out) as { machine: string[] }
  t.same(rest, { ok: true, files: [config], plugins: ['id', 'backup'], problems: [] })
  t.match(machine, [/^rsync \d/], 'and says which rsync is here')

  const server = school
  const ports = (await server.status()).listeners.flatMap(({ name, port }) => [
    `--${name}-port`,
    String(port),
  ])
  t.match(await cli(t, ['check', '--root', server.root, '--host', '127.0.0.1', ...ports]), { code: 0 })
})

t.test('check names everything that is wrong with a broken machine', async (t) => {
  const home = await temporaryDirectory(t)
  const port = await busyPort(t)
  const wanting = await written(
    t,
    'wanting.mjs',
    pluginSource('wanting', "system: [program('no-such-program', { package: 'no-such-package' })],"),
  )
  const file = await written(t, 'a-file', '')
  const config = await written(
    t,
    'bad.conf',
    `[core]\nplugins = id, nowhere, ${wanting}\nhost = 127.0.0.1\nhttpd-prot = 1\nroot = ${file}/root\n[id]\nid-port = ${port}\n`,
  )
  const { code, out } = await cli(t, ['check', '--httpd-port', '0', '--config', config], { home })
  t.equal(code, 1)
  t.match(out, `PROBLEM   ${config}:4: unknown option httpd-prot; did you mean "httpd-port"?`)
  t.match(out, `PROBLEM   ${config}:2: there is no plugin nowhere; tried `)
  t.match(out, `PROBLEM   id-port (${config}:7): port ${port} on 127.0.0.1 cannot be had (EADDRINUSE)`)
  t.match(out, `PROBLEM   root: cannot write ${file}/root`)
  t.match(
    out,
    /PROBLEM {3}the program no-such-program is not installed\n +install the package no-such-package/,
  )
  t.match(out, /^5 problems\n$/m)
  const json = await cli(t, ['check', '--json', '--httpd-port', '0', '--config', config], { home })
  t.equal(json.code, 1)
  const { ok, problems } = JSON.parse(json.out) as { ok: boolean; problems: { code: string }[] }
  t.equal(ok, false)
  t.same(problems.map((problem) => problem.code).sort(), [
    'CONFIG_INVALID',
    'NOT_WRITABLE',
    'PLUGIN_NOT_FOUND',
    'PORT_BUSY',
    'PROGRAM_MISSING',
  ])
})

const settingsOf = (printed: string): string => printed.replace(/^# From .*\n/gm, '')

t.test('config prints a settings file that says the same again, with the origin of each value', async (t) => {
  const home = await temporaryDirectory(t)
  const plugin = await written(
    t,
    'third.mjs',
    pluginSource(
      'third',
      "options: { 'third-word': text({ help: 'A word.', default: 'x' }), 'third-key': secret({ help: 'A key.' }) },",
    ),
  )
  const user = join(home, '.local', 'sugar-server', 'config')
  await mkdir(dirname(user), { recursive: true })
  await writeFile(user, '[core]\nhostname = from-the-user\nstrict = yes\n', { mode: 0o600 })
  const extra = join(home, 'extra.conf')
  const text = `[core]\nplugins = id,\n  ./${relativeTo(home, plugin)}\nhostname = from-the-extra\nroot = ~/school\n[third]\nthird-word = sieh: #1; = ü\nthird-key = hunter2\n`
  await writeFile(extra, text, { mode: 0o600 })
  const flags = ['--id-port', '4711', '--no-strict', '--drain-seconds=3']

  const first = await cli(t, ['config', '--config', extra, ...flags], { home })
  t.match(first, { code: 0, err: '' })
  t.match(first.out, `# From ${extra}:4.\nhostname = from-the-extra\n`)
  t.match(first.out, `# From ${extra}:5.\nroot = ${home}/school\n`)
  t.match(first.out, `# From ${extra}:2.\nplugins = id, ${plugin}\n`)
  t.match(first.out, `# From ${extra}:7.\nthird-word = sieh: #1; = ü\n`)
  t.match(first.out, '# From the command line.\nid-port = 4711\n')
  t.match(first.out, '# From the command line.\nstrict = no\n')
  t.match(first.out, '# From the default.\nhttpd-port = 8000\n')
  const userOnly = await cliHere(t, ['config'], { home })
  t.match(userOnly.out, `# From ${user}:2.\nhostname = from-the-user\n`)
  t.match(userOnly.out, `# From ${user}:3.\nstrict = yes\n`)
  t.notMatch(first.out, 'hunter2', 'secrets are not shown')
  t.match(first.out, '# Its value is a secret and not shown.\n# third-key =\n')
  t.notMatch(
    (await cliHere(t, ['config', '--config', extra, '--third-key', 'hunter3'], { home })).out,
    'hunter',
  )

  const again = join(home, 'again.conf')
  await writeFile(again, first.out, { mode: 0o600 })
  const second = await cliHere(t, ['config', '--config', again], { home })
  t.match(second, { code: 0, err: '' })
  t.equal(settingsOf(second.out), settingsOf(first.out), 'what was printed gives the same settings')
  await writeFile(again, second.out, { mode: 0o600 })
  t.equal(
    (await cliHere(t, ['config', '--config', again], { home })).out,
    second.out,
    'and once more, to the letter',
  )
})

const relativeTo = (from: string, path: string): string =>
  `${from.split('/').slice(1).fill('..').join('/')}${path}`

t.test('config prints nothing when a setting is wrong, and a sample on request', async (t) => {
  t.match(await cli(t, ['config', '--id-port', 'x']), {
    code: 78,
    out: '',
    err: /the command line: id-port must/,
  })
  const home = await temporaryDirectory(t)
  const sample = await cli(t, ['config', '--sample'], { home })
  t.match(sample, { code: 0, out: /^\[core\]$.*^# httpd-port = 8000$.*^\[id\]$.*^# id-port = 8080$/ms })
  const file = join(home, 'sample.conf')
  await writeFile(file, sample.out, { mode: 0o600 })
  const [plain, sampled] = await Promise.all([
    cli(t, ['config'], { home }),
    cli(t, ['config', '--config', file], { home }),
  ])
  t.equal(sampled.out, plain.out, 'the sample, as it is, sets nothing')
})

t.test('explain tells the story of a laptop by any of its names', async (t) => {
  const server = school
  const ana = newLaptop('Ana \u001b[2J')
  const laptop = { ...ana, nickname: 'Ana \u202e' }
  const url = await server.url('id')
  t.equal((await enrol(laptop, url)).outcome, 'registered')
  await enrol(newLaptop(), url)
  const uid = uidOf(laptop.pubkey)
  const on = async (...words: string[]) => cliHere(t, ['explain', ...words, '--root', server.root])
  const whole = await cli(t, ['explain', uid, '--root', server.root])
  t.match(whole, { code: 0, err: '' })
  t.match(
    whole.out,
    new RegExp(`^id\\n {2}learner +${uid} +Ana \\\\u202e\\n`),
    'and nobody turns the terminal',
  )
  t.match(whole.out, `laptop     ${laptop.serial}`)
  for (const name of [laptop.serial, laptop.serial.toLowerCase(), laptop.uuid, uid.slice(0, 8)])
    t.equal((await on(name)).out, whole.out, `by ${name}`)
  t.match(JSON.parse((await on(uid, '--json')).out), {
    id: { uid, nickname: 'Ana \u202e', serials: [laptop.serial] },
  })

  for (const name of ['SHC99999999', 'f'.repeat(40), '00000000-0000-4000-8000-ffffffffffff', '../../x', '']) {
    const { code, out, err } = await on(name)
    t.equal(code, 66, `nobody is "${name}"`)
    t.equal(out, '')
    t.match(err, /no plugin knows .*\n {2}"\S*sugar-server id list" shows who is registered/)
  }
  await server.stop()
  const alone = await cli(t, ['explain', laptop.serial, '--root', server.root])
  t.equal(alone.out, whole.out, 'with no server running too')
})

/** Registrations as `id export` writes them, all of the same length. */
const registrations = (count: number): string =>
  JSON.stringify(
    Array.from({ length: count }, (_, index) => ({
      nickname: '👩🏽‍🏫'.repeat(30),
      pubkey: madeUpKey(),
      serials: [`CSN${String(index).padStart(8, '0')}`],
      uuids: [`00000000-0000-4000-9000-${String(index).padStart(12, '0')}`],
      registeredAt: '2020-01-02T03:04:05.000Z',
      lastSeen: '2021-01-02T03:04:05.000Z',
    })),
  )

/** The database of an OLPC XS, with one laptop in it. */
async function idmgr(): Promise<Buffer> {
  const { Database } = await initSqlite()
  const database = new Database()
  database.run('CREATE TABLE laptops (serial, nickname, pubkey, uuid, lastmodified)')
  const row = [
    'SHF7080ABCD',
    'Inés',
    madeUpKey(),
    '00000000-0000-4000-8000-00000000abcd',
    '2012-03-04T05:06:07',
  ]
  database.run('INSERT INTO laptops VALUES (?, ?, ?, ?, ?)', row)
  const bytes = Buffer.from(database.export())
  database.close()
  return bytes
}

t.test('the commands of id say the same with a server running and without', async (t) => {
  const home = await temporaryDirectory(t)
  const seeds = join(home, 'seeds.json')
  await writeFile(seeds, registrations(40))
  const known = join(home, 'known.txt')
  await writeFile(known, '# ours\nSHC0000AAAA\nnot a serial\n')
  const roots = { served: join(home, 'served'), alone: join(home, 'alone') }
  t.match(await cli(t, ['id', 'import', seeds, '--root', roots.alone, '--plugins', 'id']), {
    code: 0,
    out: '40 added, 0 updated, 0 as they were, 0 refused\n',
    err: '',
  })
  await cp(roots.alone, roots.served, { recursive: true })
  const server = await startServer(t, { root: roots.served, args: idAlone })

  const on = async (words: readonly string[], input?: string | Buffer) => {
    const at = (root: string) => ['id', ...words, '--root', root, '--plugins', 'id']
    const given = { cwd: home, ...(input && { input }) }
    // What comes in, and the first of the commands, take a process each.
    const served = await cli(t, at(roots.served), given)
    const alone = await (input || words[0] === 'list' ? cli : cliHere)(t, at(roots.alone), given)
    t.same(alone, served, `id ${words.join(' ')}`)
    return served
  }
  const list = JSON.parse((await on(['list', '--json'])).out)
  t.equal(list.length, 40)
  t.match(list[0], {
    uid: /^[0-9a-f]{40}$/,
    nickname: '👩🏽‍🏫'.repeat(30),
    serials: [/^CSN/],
    uuids: [String],
    keyType: 'ssh-dss',
    registeredAt: '2020-01-02T03:04:05.000Z',
    lastSeen: '2021-01-02T03:04:05.000Z',
    flags: [],
  })
  t.match((await on(['list'])).out, /^UID +NICKNAME +SERIALS +LAST SEEN +FLAGS\n/)
  const [one, two, three] = list.map(({ uid }: { uid: string }) => uid)
  t.match(await on(['show', one]), { code: 0, out: one })
  t.match(JSON.parse((await on(['show', one.slice(0, 12), '--json'])).out), {
    uid: one,
    keys: [{ uid: one }],
  })
  t.match(await on(['show', 'SHC99999999']), {
    code: 66,
    out: '',
    err: /nobody is registered as SHC99999999/,
  })

  t.match(await on(['alias', one, two]), { code: 0, out: /is now the same child as/ })
  t.match(await on(['show', two]), { code: 0, out: /joined by an operator/ })
  t.match(await on(['alias', one]), { code: 64, err: /needs OLD/ })
  t.match(await on(['alias', one, '--undo']), { code: 0, out: /a learner of its own again/ })
  t.match(await on(['alias', one, two]), { code: 0 })

  const before = await on(['export'])
  t.equal(JSON.parse(before.out).length, 40)
  const csv = await on(['export', '--format', 'csv'])
  t.match(csv.out, /^uid,nickname,pubkey,serials,uuids,registeredAt,lastSeen,aliasOf\n/)
  t.match(await on(['remove', three]), { code: 0, out: /is removed/ })
  t.match(await on(['show', three]), { code: 66 })
  t.match(await on(['import', '-'], before.out), { code: 0, out: /^1 added, / })
  t.match(await on(['import', 'seeds.json']), {
    code: 0,
    out: '0 added, 0 updated, 40 as they were, 0 refused\n',
  })
  t.match(await on(['import', '-'], csv.out), {
    code: 0,
    out: '0 added, 0 updated, 40 as they were, 0 refused\n',
  })
  t.match(await on(['import', '-'], await idmgr()), { code: 0, out: /^1 added, /, err: '' })
  t.match(await on(['import', known, '--known']), {
    code: 65,
    out: '1 added, 0 updated, 0 as they were, 1 refused\n',
    err: /^refused: .*known\.txt:3: /,
  })
  t.match(await on(['import', 'nowhere.json']), { code: 66, err: /nowhere\.json cannot be read \(ENOENT\)/ })
  t.match(await on(['import', '/dev/null']), {
    code: 77,
    err: /\/dev\/null is neither a file nor a directory/,
  })
  const after = JSON.parse((await on(['export'])).out)
  t.same(
    after.filter(({ nickname }: { nickname: string }) => nickname !== 'Inés'),
    JSON.parse(before.out),
    'what was removed is back as it was',
  )
  t.equal((await server.stop()).code, 0)
})

t.test('an export goes through a pipe whole, and a reader who has seen enough is no error', async (t) => {
  const home = await temporaryDirectory(t)
  const root = join(home, 'root')
  const seeds = join(home, 'seeds.json')
  await writeFile(seeds, registrations(500))
  t.equal((await cli(t, ['id', 'import', seeds, '--root', root, '--plugins', 'id'])).code, 0)
  const server = await startServer(t, { root, args: idAlone })
  const sugar = `${process.execPath} ${program}`
  const sh = (line: string) => run(t, ['bash', '-o', 'pipefail', '-c', line], { home })
  const whole = await sh(`${sugar} id export --root ${root} | (sleep 1; cat)`)
  t.equal(whole.code, 0)
  t.equal(JSON.parse(whole.out).length, 500)
  for (const words of ['id export', 'id list', 'status', '--help']) {
    const some = await sh(`${sugar} ${words} --root ${root} | true`)
    t.match(some, { code: 0, out: '', err: '' }, words)
  }
  t.equal((await server.stop()).code, 0)
  t.match(
    await sh(`${sugar} id export --root ${root} --plugins id | true`),
    { code: 0, err: '' },
    'with no server too',
  )
  const full = await sh(`${sugar} id export --root ${root} --plugins id > /dev/full`)
  t.match(full, { code: 1, err: /^sugar-server: .*ENOSPC/ }, 'but what could not be written is one')
  t.notMatch(full.err, /^ +at /m)
})

t.test('a command that looks at nothing but what was typed needs no server, root or store', async (t) => {
  const home = await temporaryDirectory(t)
  await writeFile(
    join(home, 'look.mjs'),
    `import { RequestError } from 'sugar-server'
     export async function run({ args, options, signal, print, show }) {
       if (args.file.endsWith('odd')) throw new RequestError('DAMAGED', 'it is odd', { hint: 'even it out' })
       if (args.file.endsWith('bug')) throw new TypeError('a bug')
       if (args.file.endsWith('wait')) {
         print('waiting')
         const long = setTimeout(() => undefined, 600_000)
         await new Promise((done) => signal.addEventListener('abort', done))
         clearTimeout(long)
       }
       show(['it is there'], { pid: process.pid, file: args.file, also: options.also })
       return 3
     }`,
    { mode: 0o600 },
  )
  const looker = join(home, 'looker.mjs')
  await writeFile(
    looker,
    `import { definePlugin, paths, text } from 'sugar-server'
     export default definePlugin({
       name: 'looker', api: 1, summary: 'Looks.',
       options: { 'looker-places': paths({ help: 'Places.' }) },
       commands: { look: {
         summary: 'Look at a file.',
         args: { file: { help: 'A file.', path: true } },
         options: { also: paths({ help: 'More files.' }), at: text({ help: 'When.', default: '' }) },
         lists: true,
         here: () => import('./look.mjs'),
       } },
       start() {},
     })`,
    { mode: 0o600 },
  )
  const plugins = ['--plugins', `id,${looker}`]
  const look = (...words: string[]) => cliHere(t, ['looker', 'look', ...words, ...plugins], { home })

  t.match(await look('--help'), { code: 0, out: / --also PATH +More files\.$/m })
  // Nothing could be made there, and settings with mistakes are those of a server.
  const unusable = ['--root', '/proc/nowhere', '--httpd-port', 'x']
  const typed = ['looker', 'look', 'f', ...plugins]
  t.match(await cli(t, [...typed, ...unusable], { home }), { code: 3, out: 'it is there\n', err: '' })
  const facts = await look(
    'f',
    '--json',
    '--also',
    'a',
    '--at',
    '1',
    '--also=../b',
    '--at',
    '2',
    '--also',
    '/c',
  )
  t.same(
    { ...JSON.parse(facts.out), pid: 0 },
    {
      pid: 0,
      file: join(home, 'f'),
      also: [join(home, 'a'), join(home, '..', 'b'), '/c'],
    },
  )
  t.match(await look('odd'), { code: 65, out: '', err: 'sugar-server: it is odd\n  even it out\n' })
  t.match(await look('bug'), { code: 70, out: '', err: /internal error: a bug\n.*look\.mjs/s })
  t.match(await look('f', '--also', ''), { code: 3 }, 'nothing more is nothing more')
  t.match(await look('f', '--also', 'a', '--also', ''), { code: 64, err: /--also must name a path/ })

  const server = await startServer(t, { args: [...idAlone, ...plugins] })
  const served = JSON.parse((await cli(t, [...typed, '--json', '--root', server.root], { home })).out)
  t.not(served.pid, server.child.pid, 'where a server runs it is asked nothing')
  t.equal((await server.stop()).code, 0)

  const waiting = await launch(t, { args: ['looker', 'look', 'wait', ...plugins] })
  await until(() => waiting.said.out.includes('waiting'), 'the command to begin')
  waiting.child.kill('SIGINT')
  t.match(await waiting.ended, { code: 130, signal: null })

  const settings = join(home, 'looker.conf')
  await writeFile(settings, '[looker]\nlooker-places = a\n  ../b, c\n', { mode: 0o600 })
  const said = await cliHere(t, ['config', ...plugins, '--config', settings], { home })
  t.match(said.out, `looker-places = ${join(home, 'a')}\n  ${join(home, '..', 'b, c')}\n`)
  await writeFile(settings, said.out, { mode: 0o600 })
  t.equal(
    settingsOf((await cliHere(t, ['config', '--config', settings], { home })).out),
    settingsOf(said.out),
  )
  const flags = ['--looker-places', 'a', '--looker-places', 'b']
  t.match(
    (await cliHere(t, ['config', ...plugins, ...flags], { home })).out,
    `looker-places = ${join(home, 'b')}\n`,
  )
})

t.test('Ctrl-C ends a command, and whoever works on it hears of it', async (t) => {
  const plugin = await written(
    t,
    'waiter.mjs',
    pluginSource(
      'waiter',
      "commands: { wait: { summary: 'Wait.' } },",
      `ctx.command('wait', async ({ signal, note }) => {
         note('waiting')
         const long = setTimeout(() => undefined, 600_000)
         await new Promise((done) => signal.addEventListener('abort', done))
         clearTimeout(long)
         ctx.log.error('gave up')
       })`,
    ),
  )
  const args = ['--plugins', `id,${plugin}`]
  const server = await startServer(t, { args: [...idAlone, ...args] })
  const home = await temporaryDirectory(t)
  const wait = (root: string) =>
    launch(t, { root, args: ['waiter', 'wait', ...args] }).then(async (command) => {
      await until(() => command.said.err.includes('waiting'), 'the command to begin')
      command.child.kill('SIGINT')
      return command.ended
    })
  t.match(await wait(server.root), { code: 130, signal: null, out: '' })
  await until(() => server.log().some(({ msg }) => msg === 'gave up'), 'the server to hear of it')
  t.match(await wait(join(home, 'root')), { signal: null, err: /gave up/ })
  t.equal((await server.stop()).code, 0)
})
