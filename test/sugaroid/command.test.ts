import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { registerLaptop } from '../../sugaroid/index.js'
import {
  canned,
  type Peer,
  reply,
  response,
  struct,
  sugaroid,
  welcome,
} from '../support/sugaroid/fake-servers.js'
import { program } from '../support/sugaroid/served-build.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

const at = ({ host, port }: Peer) => `${host}:${port}`

t.test('a laptop registers, and says what Sugar would show and what it got', async (t) => {
  const home = await temporaryDirectory(t)
  const school = await canned(t, reply(welcome))
  const { code, out, err } = await sugaroid(
    'register',
    '--server',
    at(school),
    '--home',
    home,
    '--nick',
    'Ana',
    '--xo',
  )
  t.equal(code, 0)
  t.equal(err, '')
  t.match(out, /^You are now registered with your school server\.\n/)
  t.match(out, /^ {2}nickname +Ana$/m)
  t.match(out, /^ {2}serial +SHC[0-9A-F]{8}$/m)
  t.match(out, /^ {2}uid +[0-9a-f]{40}$/m)
  t.match(out, /^ {2}jabberserver +jabber\.school$/m)
  t.match(out, /^ {2}backupurl +u@school:backup$/m)
  const sent = school.requests[0] ?? ''
  const [, serial] = /serial +(\S+)/.exec(out) ?? []
  t.match(sent, `<string>${serial}</string>`)
  t.same((await readdir(join(home, 'default', 'identifiers'))).sort(), ['sn', 'uuid'])
  t.equal(await readFile(join(home, 'default', 'identifiers', 'sn'), 'utf8'), serial)
})

t.test('--json is one object for programs', async (t) => {
  const home = await temporaryDirectory(t)
  const school = await canned(t, reply(welcome))
  const { code, out } = await sugaroid('register', '--server', at(school), '--home', home, '--json')
  t.equal(code, 0)
  t.equal(out.split('\n').length, 2)
  t.match(JSON.parse(out), {
    outcome: 'registered',
    server: { host: '127.0.0.1', port: school.port },
    identity: { uid: /^[0-9a-f]{40}$/, nickname: 'sugaroid' },
    jabberserver: 'jabber.school',
    backupurl: 'u@school:backup',
  })
  const failed = await sugaroid('register', '--server', '127.0.0.1:1', '--home', home, '--json')
  t.equal(failed.code, 69)
  t.match(JSON.parse(failed.out), { outcome: 'unreachable', cause: /ECONNREFUSED/ })
})

t.test('where nothing can be written, that is said in a line', (t) => {
  const full = openSync('/dev/full', 'w')
  const { status, stderr } = spawnSync(process.execPath, [program, '--help'], {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
  })
  closeSync(full)
  t.equal(status, 74)
  t.match(stderr, /^sugaroid: what it says cannot be written: [^\n]*ENOSPC[^\n]*\n$/)
  t.end()
})

t.test('the exit code tells the outcome and the last line what to do next', async (t) => {
  const home = await temporaryDirectory(t)
  const run = async (body: string) =>
    sugaroid('register', '--server', at(await canned(t, reply(body))), '--home', home)
  t.match(await run(struct({ success: 'ERR', error: 'the disk is full' })), {
    code: 77,
    out: /^The server could not complete the request\.\n.*the disk is full/s,
    err: /log/,
  })
  t.match(await run(struct({ success: 'OK', jabberserver: '' })), {
    code: 76,
    out: /^\(the child sees nothing\)\n.*'backupurl' is missing/s,
    err: /mend the server/,
  })
  t.match(await run(response('<money/>')), {
    code: 69,
    out: /^Cannot connect to the server\.\n.*because +<money> is no XML-RPC type/s,
    err: /--server/,
  })
})

t.test('what a registration leaves behind decides where the next one goes', async (t) => {
  const home = await temporaryDirectory(t)
  const kept = async () => JSON.parse(await readFile(join(home, 'settings.json'), 'utf8'))
  const config =
    '<member><name>config</name><value><struct><member><name>a</name><value>b</value></member></struct></value></member>'
  const first = struct({ success: 'OK', jabberserver: 'no.such.host.invalid', backupurl: 'u@h:p' }, config)
  const second = struct({ success: 'OK', jabberserver: '127.0.0.2' })
  const third = struct({ success: 'ERR', error: 'no' })
  const server = async (body: string) => canned(t, reply(body))

  t.match(await registerLaptop(home, { server: await server(first) }), { result: { outcome: 'registered' } })
  t.strictSame(await kept(), {
    'jabber-server': 'no.such.host.invalid',
    'backup-url': 'u@h:p',
    config: { a: 'b' },
  })

  t.match(await registerLaptop(home, { timeout: 3000 }), {
    server: { host: 'no.such.host.invalid', port: 8080 },
    result: { outcome: 'unreachable' },
  })
  t.match(await registerLaptop(home, { server: await server(second) }), { result: { outcome: 'broken' } })
  t.match(
    await kept(),
    { 'jabber-server': '127.0.0.2', 'backup-url': 'u@h:p' },
    'Sugar died after keeping the first',
  )
  t.match(await registerLaptop(home, { server: await server(third) }), { result: { outcome: 'refused' } })
  t.match(await kept(), { 'jabber-server': '127.0.0.2' }, 'a refusal changes nothing')
  t.match((await registerLaptop(home, { rest: true, timeout: 500 })).server, {
    host: '127.0.0.2',
    port: 8000,
  })

  await registerLaptop(home, {
    server: await server(struct({ success: 'OK', jabberserver: '', backupurl: '' })),
  })
  t.match((await registerLaptop(home, { timeout: 500 })).server, { host: 'schoolserver', port: 8080 })
})

t.test('status asks the JSON interface about the learner at home', async (t) => {
  const home = await temporaryDirectory(t)
  const json = (value: unknown) => canned(t, reply(JSON.stringify(value)))
  const knowing = await json({
    success: 'OK',
    registered: true,
    'jabber-url': 'j',
    'backup-url': 'u@h:p',
    stamp: 7,
  })
  t.match(await sugaroid('status', '--server', at(knowing), '--home', home), {
    code: 0,
    out: /^The server knows this learner\.\n.*uid +[0-9a-f]{40}\n.*backup-url +u@h:p\n +stamp +7\n$/s,
  })
  const strange = await json({ success: 'OK', registered: false })
  t.match(await sugaroid('status', '--server', at(strange), '--home', home), {
    code: 0,
    out: /does not know/,
  })
  const { code, out } = await sugaroid('status', '--server', at(strange), '--home', home, '--json')
  t.equal(code, 0)
  t.match(JSON.parse(out), { outcome: 'answered', registered: false })
  t.match(await sugaroid('status', '--server', '127.0.0.1:1', '--home', home), {
    code: 69,
    err: /httpd-port/,
  })
})

t.test('a server cannot write to the terminal what it likes', async (t) => {
  const home = await temporaryDirectory(t)
  const school = await canned(
    t,
    reply(struct({ success: 'ERR', error: '\u009b2Jfake\n\u202eline 👩\u200d🔧' })),
  )
  const { out } = await sugaroid('register', '--server', at(school), '--home', home)
  t.match(out, 'server says  \\u009b2Jfake\\u000a\\u202eline 👩\u200d🔧\n')
  const json = await sugaroid('register', '--server', at(school), '--home', home, '--json')
  t.notMatch(json.out, /[\u009b\u202e]/)
  t.equal(JSON.parse(json.out).error, '\u009b2Jfake\n\u202eline 👩\u200d🔧')
})

t.test('a mistake on the command line is met with what was probably meant', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /no command given\n.*--help/],
    [['regsiter'], /unknown command 'regsiter'\n {2}did you mean register\?/],
    [['../bin/sugaroid'], /unknown command/],
    [['--verison'], /did you mean --version\?/],
    [['register', '--sever', 'x'], /unknown option --sever\n {2}did you mean --server\?/],
    [['register', '--count=3'], /unknown option --count/],
    [['register', '--__proto__'], /unknown option --__proto__/],
    [['register', '-x'], /unknown option -x/],
    [['register', 'school'], /unexpected argument 'school'/],
    [['register', '--server'], /--server needs a value/],
    [['register', '--nick', '--json'], /--nick needs a value\n.*--nick=NAME/],
    [['register', '--json=yes'], /--json takes no value/],
    [['register', '--server', 'http://school/'], /is not a server\n.*without http/],
    [['register', '--key', 'dss'], /unknown type of key 'dss'\n.*dsa, rsa/],
    [['\u001b[2J'], /unknown command '\\u001b\[2J'/],
  ]
  const home = await temporaryDirectory(t)
  for (const [args, expected] of cases) {
    const rest = args[0] === 'register' && args.length > 2 ? ['--home', home] : []
    const { code, out, err } = await sugaroid(...args, ...rest)
    t.equal(code, 64, args.join(' '))
    t.equal(out, '')
    t.match(err, expected)
  }
  t.same(await readdir(home), [], 'and nothing was made')
})

t.test('help is everywhere', async (t) => {
  const { code, out } = await sugaroid('--help')
  t.equal(code, 0)
  for (const name of ['register', 'status']) {
    t.match(out, new RegExp(`^ {2}${name} `, 'm'))
    const help = await sugaroid(name, '--home', '/nowhere', '--help')
    t.equal(help.code, 0)
    t.match(help.out, /^ {2}--home DIR .*~\/\.sugaroid/m)
    t.ok(help.out.split('\n').every((line) => line.length <= 110))
  }
  t.match(await sugaroid('--version'), { code: 0, out: /^\d+\.\d+\.\d+\n$/ })
})

t.test('a home that cannot be used ends with 74 and a way out', async (t) => {
  const home = await temporaryDirectory(t)
  await writeFile(join(home, 'settings.json'), '[')
  t.match(await sugaroid('register', '--home', home), { code: 74, err: /holds no settings\n {2}delete it/ })
  await writeFile(join(home, 'settings.json'), '{"jabber-server": "two words"}')
  t.match(await sugaroid('register', '--home', home), { code: 74, err: /no host\n.*--server/ })
  const file = join(home, 'nick')
  await writeFile(file, '')
  await chmod(file, 0o600)
  t.match(await sugaroid('register', '--home', join(file, 'home')), {
    code: 74,
    err: /ENOTDIR.*\n.*home directory/,
  })
})
