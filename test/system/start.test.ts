import { chmod, chown, mkdir, readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { cliHere } from '../support/core/cli-here.js'
import {
  busyPort,
  cli,
  idPorts,
  launch,
  pluginSource,
  type Server,
  startServer,
  until,
  written,
} from '../support/core/server-process.js'
import { enrol, newLaptop } from '../support/sugaroid/registrants.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(400_000)

/** Of one plugin only: how it starts and stops is the same with any. */
const idAlone = [...idPorts, '--plugins', 'id']

t.test('stop comes back when the server has stopped, and then nobody answers', async (t) => {
  const slow = await written(
    t,
    'slow.mjs',
    pluginSource('slow', '', "ctx.on('drain', () => new Promise((done) => setTimeout(done, 1500)))"),
  )
  const server = await startServer(t, { args: [...idPorts, '--plugins', `id,${slow}`] })
  const { root } = server
  t.match(await cli(t, ['stop', '--root', root]), { code: 0, out: 'stopped\n', err: '' })

  const status = await cli(t, ['status', '--root', root])
  t.match(status, {
    code: 69,
    out: '',
    err: /no sugar-server runs on .*\n {2}start it with ".*sugar-server"/,
  })
  const json = await cli(t, ['status', '--json', '--root', root])
  t.equal(json.code, 69)
  t.match(JSON.parse(json.out), { phase: 'stopped', plugins: [], listeners: [] })
  t.match(await cli(t, ['stop', '--root', root]), { code: 69, err: /no sugar-server runs/ })
  t.match(await server.ended, { code: 0, signal: null })
  t.match(server.log().at(-1), { msg: 'stopped' })

  const again = await startServer(t, { root, args: idAlone })
  t.equal((await again.stop()).code, 0, 'and the next one can start')
})

t.test('a second server on the same root is sent away', async (t) => {
  const server = await startServer(t, { args: idAlone })
  const second = await cli(t, ['--root', server.root, ...idAlone])
  t.equal(second.code, 75)
  t.ok(second.err.startsWith(`sugar-server: another sugar-server uses ${server.root}\n  stop it with "`))
  t.match(second.err, /\/sugar-server stop", or give/, 'typed so that it works in any directory')
  t.equal(second.out, '')
  t.equal((await server.status()).phase, 'ready', 'the first one has not noticed')
  t.equal((await enrol(newLaptop(), await server.url('id'))).outcome, 'registered')

  await server.kill9()
  const heir = await startServer(t, { root: server.root, args: idAlone })
  t.equal((await heir.status()).phase, 'ready', 'after kill -9 the root is free')
})

const slowRoute = (seconds: number): string =>
  pluginSource(
    'slow',
    '',
    `ctx.http.router.get('/slow', async (asked) => {
       ctx.log.info('the slow route is asked')
       await new Promise((done) => setTimeout(done, ${seconds * 1000}))
       asked.body = 'done'
     })`,
  )

const slowIsAsked = (server: Server) =>
  until(() => server.said.err.includes('the slow route is asked'), 'the request to arrive')

t.test('on SIGTERM what was begun is finished and nothing new is taken, then it ends with 0', async (t) => {
  const plugin = await written(t, 'slow.mjs', slowRoute(1.5))
  const server = await startServer(t, { args: [...idPorts, '--plugins', `id,${plugin}`] })
  const url = await server.url('httpd')
  const begun = fetch(`${url}/slow`).then((answer) => answer.text())
  await slowIsAsked(server)
  const ended = server.stop()
  await until(() => server.said.err.includes('SIGTERM: stopping'), 'the signal to arrive')
  const late = await fetch(`${url}/health`).then(
    ({ status }) => status,
    () => 'refused',
  )
  t.ok(late === 'refused' || late === 503, 'nothing new is taken')
  t.equal(await begun, 'done')
  t.match(await ended, { code: 0, signal: null })
  t.match(server.log().at(-1), { msg: 'stopped' })
})

t.test('a second SIGTERM gives up what hangs', async (t) => {
  const plugin = await written(t, 'slow.mjs', slowRoute(300))
  const args = [...idPorts, '--plugins', `id,${plugin}`, '--drain-seconds', '300']
  const server = await startServer(t, { args })
  const hung = fetch(`${await server.url('httpd')}/slow`)
  const lost = t.rejects(hung)
  await slowIsAsked(server)
  server.child.kill('SIGTERM')
  await until(() => server.said.err.includes('SIGTERM: stopping'), 'the signal to arrive')
  // Sooner it would be taken for the same gesture, as one Ctrl-C on "npm start" is.
  await sleep(1000)
  t.equal(server.child.exitCode, null, 'it waits for what was begun')
  t.match(await server.stop(), { code: 0, signal: null })
  await lost
})

t.test('one Ctrl-C that arrives twice, from the terminal and from npm, is no impatience', async (t) => {
  const plugin = await written(t, 'slow.mjs', slowRoute(2))
  const args = [...idPorts, '--plugins', `id,${plugin}`]
  const server = await startServer(t, { args })
  const begun = fetch(`${await server.url('httpd')}/slow`).then((answer) => answer.text())
  await slowIsAsked(server)
  server.child.kill('SIGINT')
  server.child.kill('SIGINT')
  t.equal(await begun, 'done', 'what was begun is finished')
  t.match(await server.ended, { code: 0, signal: null })
})

t.test('a plugin that never finishes its start does not keep the server from being stopped', async (t) => {
  const hang = 'return new Promise(() => {})'
  const stuck = async ([moment, says]: readonly [moment: string, says: string]) => {
    const body = `export default { name: 'stuck', api: 1, summary: 'never comes to an end', ${says} }`
    const plugin = await written(t, 'stuck.mjs', body)
    const server = await launch(t, { args: [...idPorts, '--plugins', `id,${plugin}`] })
    await until(() => server.said.err.includes(`stuck has been in ${moment}`), 'the log to say who is slow')
    t.match(await server.stop(), { code: 0, signal: null }, moment)
  }
  const moments = [
    ['prepare', `start() {}, prepare() { ${hang} }`],
    ['start', `start() { ${hang} }`],
    ['ready', `start(ctx) { ctx.on('ready', () => { ${hang} }) }`],
  ] as const
  await Promise.all(moments.map(stuck))
})

t.test(
  'a command does not fall back to another server when the root that was meant is not known',
  async (t) => {
    const home = await temporaryDirectory(t)
    const config = await written(t, 'empty.conf', '[core]\nroot =\n')
    for (const args of [
      ['status', '--root', ''],
      ['stop', '--root', ''],
      ['stop', '--config', config],
    ])
      t.match(await cli(t, args, { home }), { code: 78, err: /root must name a path/ }, args.join(' '))
  },
)

t.test('what a laptop never finishes sending does not hold up the end', async (t) => {
  const server = await startServer(t, { args: [...idAlone, '--drain-seconds', '1'] })
  const { hostname, port } = new URL(await server.url('id'))
  const socket = connect(Number(port), hostname)
  t.teardown(() => void socket.destroy())
  socket.on('error', () => undefined).write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc')
  await sleep(300)
  const began = performance.now()
  t.match(await server.stop(), { code: 0, signal: null })
  t.ok(performance.now() - began < 15_000, 'it is given up after drain-seconds')
})

t.test(
  'a list of plugins that names none, or one that is not there, is a mistake with its line',
  async (t) => {
    const home = await temporaryDirectory(t)
    for (const [text, err] of [
      ['plugins =', /bad\.conf:2: plugins names no plugin/],
      ['plugins = id, diray', /bad\.conf:2: there is no plugin diray/],
    ] as const) {
      const config = await written(t, 'bad.conf', `[core]\n${text}\n`)
      t.match(await cli(t, ['--root', join(home, 'root'), '--config', config], { home }), { code: 78, err })
    }
  },
)

t.test('a root of another user is refused, since what is made there would lock that user out', async (t) => {
  if (process.getuid?.() !== 0)
    return void t.pass('needs root', { skip: 'only root can give a directory away' })
  const home = await temporaryDirectory(t)
  const root = join(home, 'root')
  await mkdir(root, { mode: 0o700 })
  await chown(root, 65534, 65534)
  const { code, err } = await cli(t, ['id', 'list', '--root', root], { home })
  t.equal(code, 69)
  t.match(err, /belongs to another user\n {2}run this as that user \(uid 65534\)/)
  t.same(await readdir(root), [])
})

t.test('work that never ends is given up after drain-seconds', async (t) => {
  const plugin = await written(t, 'slow.mjs', slowRoute(300))
  const args = [...idPorts, '--plugins', `id,${plugin}`, '--drain-seconds', '1']
  const server = await startServer(t, { args })
  const lost = t.rejects(fetch(`${await server.url('httpd')}/slow`))
  await slowIsAsked(server)
  t.match(await server.stop(), { code: 0, signal: null })
  await lost
})

t.test('mistakes in settings stop the start with 78, each with its line, all at once', async (t) => {
  const home = await temporaryDirectory(t)
  const config = await written(
    t,
    'bad.conf',
    [
      'host = 1.2.3.4',
      '[core]',
      'httpd-port = 99999',
      'httpd-prot = 1',
      'log-level = loud',
      'just words',
      '[id]',
      'id-port = eight',
      'id-port = 8080',
      '[id]',
      '',
    ].join('\n'),
  )
  const root = join(home, 'root')
  const { code, out, err } = await cli(t, ['--root', root, '--config', config, '--strict=perhaps'], { home })
  t.equal(code, 78)
  t.equal(out, '')
  for (const [line, says] of [
    [1, /"host = 1\.2\.3\.4" stands before any \[section\]/],
    [3, /httpd-port must be a whole number from 0 to 65535, not "99999"/],
    [4, /unknown option httpd-prot; did you mean "httpd-port"\?/],
    [5, /log-level must be one of .*, not "loud"/],
    [6, /expected "option = value", found "just words"/],
    [8, /id-port must be a whole number .*, not "eight"/],
    [9, /option id-port again/],
    [10, /section \[id\] again/],
  ] as const) {
    t.match(err, new RegExp(`^sugar-server: ${config}:${line}: ${says.source}`, 'm'))
  }
  t.match(err, /^sugar-server: the command line: strict must be yes or no, not "perhaps"/m)
  t.rejects(chmod(root, 0o700), { code: 'ENOENT' }, 'nothing was begun')
})

t.test('settings as editors on Windows save them are read', async (t) => {
  const config =
    '\ufeff[core]\r\nplugins = id\r\nhost = 127.0.0.1\r\nhttpd-port = 0\r\n\r\n[id]\r\nid-port = 0\r\njabber-server = jabber.example\r\n'
  const server = await startServer(t, { args: [], config })
  t.match(await enrol(newLaptop(), await server.url('id')), {
    outcome: 'registered',
    jabberserver: 'jabber.example',
  })
  t.equal((await server.stop()).code, 0)
})

t.test('settings that cannot be trusted or read stop the start with 78', async (t) => {
  const home = await temporaryDirectory(t)
  const ended = async (file: string) =>
    cli(t, ['--root', join(home, 'root'), ...idAlone, '--config', file], { home })
  const open = await written(t, 'open.conf', '[core]\nstrict = yes\n')
  await chmod(open, 0o666)
  t.match(await ended(open), {
    code: 78,
    err: `sugar-server: ${open} can be written by other users\n  protect it: chmod go-w ${open}\n`,
  })
  t.match(await ended('/no/such.conf'), { code: 78, err: /\/no\/such\.conf does not exist/ })
  t.match(await ended(home), { code: 78, err: /is not a file/ })
  const server = await startServer(t, { args: idAlone, config: '' })
  t.equal((await server.stop()).code, 0, 'an empty file is no mistake')
})

t.test(
  'a settings file that is named but cannot be read stops every command, not only the server',
  async (t) => {
    for (const words of [['status'], ['stop'], ['plugins'], ['explain', 'x'], ['id', 'list'], ['config']]) {
      const run = words[0] === 'status' ? cli : cliHere
      const { code, out, err } = await run(t, [...words, '--config', '/no/such.conf'])
      t.equal(code, 78, words.join(' '))
      t.match(err, /\/no\/such\.conf does not exist/)
      t.equal(out, '')
    }
  },
)

t.test('a busy port ends the start with 78 and names the setting', async (t) => {
  const port = String(await busyPort(t))
  const ending = (
    [
      ['httpd-port', 'id-port'],
      ['id-port', 'httpd-port'],
    ] as const
  ).map(async ([option, free]) => {
    const args = ['--host', '127.0.0.1', `--${option}`, port, `--${free}`, '0']
    const { code, out, err } = await (await launch(t, { args })).ended
    t.equal(code, 78, option)
    t.match(err, `${option} (the command line): port ${port} on 127.0.0.1 is in use by another program`)
    t.match(err, /^ {2}stop the other program, or choose another port$/m)
    t.equal(out, '')
  })
  const config = `[core]\nhost = 127.0.0.1\nplugins = id\nhttpd-port = ${port}\n[id]\nid-port = 0\n`
  const server = await launch(t, { args: [], config })
  t.match(await server.ended, { code: 78, err: `httpd-port (${server.home}/school.conf:4): port ${port}` })
  await Promise.all(ending)
})

t.test("a plugin whose port is busy fails, and the rest of the school's services run", async (t) => {
  const port = String(await busyPort(t))
  const other = await written(t, 'other.mjs', slowRoute(0))
  const server = await startServer(t, {
    args: ['--host', '127.0.0.1', '--httpd-port', '0', '--id-port', port, '--plugins', `id,${other}`],
  })
  t.match((await server.status()).plugins, [
    {
      name: 'id',
      state: 'failed',
      code: 'PORT_BUSY',
      message: `id-port (the command line): port ${port} on 127.0.0.1 is in use by another program`,
      hint: /another port/,
    },
    { name: 'slow', state: 'running' },
  ])
  t.match(
    server.said.out,
    new RegExp(`^ {2}id is failed: id-port .*: port ${port} .*; stop the other program`, 'm'),
  )
  const url = await server.url('httpd')
  t.equal(await (await fetch(`${url}/slow`)).text(), 'done')
  t.equal((await fetch(`${url}/health`)).status, 503)
  t.equal(
    (await fetch(`${url}/client/status?uid=${'0'.repeat(40)}`)).status,
    404,
    'and id serves on no port at all',
  )
})

t.test('a root that cannot be used ends with 69 and what to do', async (t) => {
  const file = await written(t, 'a-file', '')
  const ended = (root: string) => cli(t, ['--root', root, ...idAlone])
  t.match(await ended(`${file}/root`), {
    code: 69,
    err: /root: .* cannot be made \(ENOTDIR\)\n {2}give this user/,
  })
  const open = await temporaryDirectory(t)
  await chmod(open, 0o777)
  t.match(await ended(open), {
    code: 69,
    err: `root: ${open} can be written by others\n  protect it: chmod go-w ${open}\n`,
  })
  const deep = join(await temporaryDirectory(t), 'x'.repeat(100))
  t.match(await ended(deep), {
    code: 69,
    err: /too long for a socket .*\n {2}choose a root with a shorter path/,
  })
})
