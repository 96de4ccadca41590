import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { HouseStatus } from '../../core/house.js'
import { cliHere } from '../support/core/cli-here.js'
import {
  cli,
  launch,
  pluginSource,
  type Server,
  startServer,
  written,
} from '../support/core/server-process.js'
import { enrol, newLaptop } from '../support/sugaroid/registrants.js'

t.setTimeout(400_000)

// All that somebody else has to write for a service of their own.
const greeter = `import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { definePlugin, text } from 'sugar-server'
import { Registration } from 'sugar-server/plugins/id'

export default definePlugin({
  name: 'greeter',
  api: 1,
  summary: 'Greets every laptop and keeps a list of guests.',
  options: {
    'greeter-word': text({ help: 'How laptops are greeted.', default: 'welcome' }),
  },
  collections: { guests: { key: 'uid' } },
  commands: { guests: { summary: 'List the guests.', lists: true } },

  start({ config, store, tap, command, defer }) {
    tap(Registration.enrol, (_, { nickname }) => ({ greeting: config['greeter-word'] + ', ' + nickname }))
    tap(Registration.registered, async ({ uid, nickname }) => {
      await store.guests.insert({ uid, nickname })
    })
    command('guests', async ({ list }) => {
      list(await store.guests.find({}), [{ title: 'NICKNAME', text: ({ nickname }) => nickname }])
    })
    defer(() => writeFileSync(join(config.root, 'gone'), 'the greeter has gone'))
  },
})
`

const ports = '[core]\nhost = 127.0.0.1\nhttpd-port = 0\n[id]\nid-port = 0\n'

/** Settings that list `id` and this plugin. */
const settings = (plugin: string, more = ''): string =>
  ports.replace('[core]\n', `[core]\nplugins = id, ${plugin}\n`) + more

async function registers(t: Test, server: Server): Promise<void> {
  const url = await server.url('id')
  t.equal((await enrol(newLaptop(), url)).outcome, 'registered', 'laptops register all the same')
}

const pluginOf = ({ plugins }: HouseStatus, name: string) => plugins.find((plugin) => plugin.name === name)

t.test("forty lines in somebody's directory are a service like any other", async (t) => {
  t.ok(greeter.trimEnd().split('\n').length <= 40)
  const plugin = await written(t, 'greeter.mjs', greeter)
  const config = settings(plugin, '[greeter]\ngreeter-word = hola\n')
  const server = await startServer(t, { args: [], config })
  const ana = newLaptop('Ana')
  const url = await server.url('id')
  const first = await enrol(ana, url)
  t.match(first, { outcome: 'registered', reply: { success: 'OK', greeting: 'hola, Ana' } })
  t.same(await enrol(ana, url), first, 'told the same each time')

  const file = join(server.home, 'school.conf')
  const guests = async () => {
    const { code, out } = await cliHere(t, [
      'greeter',
      'guests',
      '--json',
      '--root',
      server.root,
      '--config',
      file,
    ])
    t.equal(code, 0)
    return JSON.parse(out)
  }
  t.match(await guests(), [{ nickname: 'Ana' }])
  t.match(await cliHere(t, ['greeter', '--help', '--config', file]), {
    code: 0,
    out: /^ {2}greeter guests /m,
  })
  t.match(
    (await cliHere(t, ['--help', '--config', file])).out,
    /^ {2}--greeter-word TEXT +How laptops are greeted/m,
  )
  t.match(await cli(t, ['check', '--root', server.root, '--config', file]), { code: 0 })

  await t.rejects(access(join(server.root, 'gone')))
  t.equal((await server.stop()).code, 0)
  t.equal(await readFile(join(server.root, 'gone'), 'utf8'), 'the greeter has gone', 'undone at the stop')

  t.match(await guests(), [{ nickname: 'Ana' }], 'documents stay, and a command finds them with no server')
  const again = await startServer(t, { args: [], config, root: server.root })
  const reply = await enrol(ana, await again.url('id'))
  t.match(reply, { reply: { greeting: 'hola, Ana' } })
})

interface Breakage {
  title: string
  /** The plugin's module. */
  module: string
  /** More settings. */
  more?: string
  state: string
  code: string
  /** What status and log say; FILE is the settings file, PLUGIN the module. */
  message: string
  hint?: RegExp
  /** Of a boot with --strict. */
  exit: number
  /** Nothing but its path is known of it. */
  nameless?: true
}

const breakages: Breakage[] = [
  {
    title: 'with an unknown option in its section',
    module: greeter,
    more: '[greeter]\ngreeter-wrod = hola\n',
    state: 'failed',
    code: 'CONFIG_INVALID',
    message: 'FILE:8: unknown option greeter-wrod; did you mean "greeter-word"?',
    hint: /sugar-server config/,
    exit: 78,
  },
  {
    title: 'with a wrong value for its option',
    module: pluginSource('greeter', "options: { 'greeter-port': port({ help: 'P', default: 1 }) },").replace(
      '{ definePlugin',
      '{ port, definePlugin',
    ),
    more: '[greeter]\ngreeter-port = many\n',
    state: 'failed',
    code: 'CONFIG_INVALID',
    message: 'FILE:8: greeter-port must be a whole number from 0 to 65535, not "many"',
    exit: 78,
  },
  {
    title: 'that needs a service which nobody provides',
    module: pluginSource('greeter', "needs: { clock: { id: 'clock/clock@1' } },"),
    state: 'failed',
    code: 'SERVICE_MISSING',
    message: 'greeter needs clock/clock@1, which no other enabled plugin provides',
    hint: /enable the plugin clock/,
    exit: 78,
  },
  {
    title: 'for another plugin API',
    module: greeter.replace('api: 1', 'api: 2'),
    state: 'failed',
    code: 'PLUGIN_INVALID',
    message:
      'PLUGIN is not a plugin for this server: api was written for plugin API 2, this server has 1: install a version that fits',
    exit: 78,
    nameless: true,
  },
  {
    title: 'whose program is not installed',
    module: pluginSource('greeter', "system: [program('no-such-program', { package: 'no-such-package' })],"),
    state: 'unavailable',
    code: 'PROGRAM_MISSING',
    message: 'the program no-such-program is not installed',
    hint: /install the package no-such-package/,
    exit: 69,
  },
  {
    title: 'that throws when it is loaded',
    module: "throw new Error('bad at load')",
    state: 'failed',
    code: 'PLUGIN_INVALID',
    message: 'PLUGIN cannot be loaded: bad at load',
    exit: 78,
    nameless: true,
  },
  {
    title: 'that throws in prepare()',
    module: pluginSource('greeter', "prepare() { throw new Error('bad at prepare') },"),
    state: 'failed',
    code: 'PLUGIN_FAILED',
    message: 'bad at prepare',
    exit: 70,
  },
  {
    title: 'that throws in start()',
    module: greeter
      .replace('    defer(', "    defer(() => Promise.reject(new Error('an undo failed')))\n    defer(")
      .replace(
        "'the greeter has gone'))\n",
        "'the greeter has gone'))\n    throw new Error('bad at start')\n",
      ),
    state: 'failed',
    code: 'PLUGIN_FAILED',
    message: 'bad at start',
    exit: 70,
  },
]

for (const { title, module, more, state, code, message, hint, exit, nameless } of breakages) {
  t.test(`a plugin ${title} fails with its own words, and the school registers`, async (t) => {
    const plugin = await written(t, 'greeter.mjs', module)
    const config = settings(plugin, more)
    const server = await startServer(t, { args: [], config })
    const file = join(server.home, 'school.conf')
    const says = message.replace('FILE', file).replace('PLUGIN', plugin)
    const name = nameless ? plugin : 'greeter'
    const status = await server.status()
    t.match(pluginOf(status, name), { state, code, message: says, ...(hint && { hint }) })
    t.match(pluginOf(status, 'id'), { state: 'running' })
    const line = server.log().find((one) => one.level >= 50 && one.msg.includes(says))
    t.match(line, { plugin: name, code, ...(hint && { hint }) }, 'the log says it')
    t.match(server.said.out, `  ${name} is ${state}: ${says}`, 'and so does the start')
    await registers(t, server)

    const health = await fetch(`${await server.url('httpd')}/health`)
    t.equal(health.status, 503)
    t.match(await health.json(), { status: 'degraded', plugins: { id: 'running', [name]: state } })
    const table = await cliHere(t, ['status', '--root', server.root])
    t.match(table.out, says)
    t.match(table, { code: 0, out: /^id +running/m })
    if (title.includes('start()')) {
      t.equal(
        await readFile(join(server.root, 'gone'), 'utf8'),
        'the greeter has gone',
        'what it did is undone',
      )
      t.match(
        server.log().find(({ msg }) => msg.includes('an undo failed')),
        { plugin: 'greeter', level: 50 },
      )
    }
    t.equal((await server.stop()).code, 0)

    const strict = await launch(t, { args: ['--strict'], config })
    const ended = await strict.ended
    t.equal(ended.code, exit, 'with --strict it stops the boot')
    t.equal(ended.out, '')
    t.match(
      ended.err,
      `sugar-server: ${message.replace('FILE', join(strict.home, 'school.conf')).replace('PLUGIN', plugin)}`,
    )
  })
}

t.test('a plugin that uses one that failed is blocked, and says by whom', async (t) => {
  const clock = await written(
    t,
    'clock.mjs',
    pluginSource('clock', "provides: { clock: { id: 'clock/clock@1' } },", "throw new Error('no time')"),
  )
  const bell = await written(
    t,
    'bell.mjs',
    pluginSource('bell', "needs: { clock: { id: 'clock/clock@1' } },"),
  )
  const server = await startServer(t, { args: [], config: settings(`${bell}, ${clock}`) })
  const status = await server.status()
  t.match(pluginOf(status, 'clock'), { state: 'failed', message: 'no time' })
  t.match(pluginOf(status, 'bell'), {
    state: 'blocked',
    message: 'bell uses clock, which does not run',
    hint: 'see why clock does not run',
  })
  await registers(t, server)
})

t.test(
  'a handler that throws fails its own request: the client gets a reference, the log the story',
  async (t) => {
    const plugin = await written(
      t,
      'thrower.mjs',
      pluginSource(
        'thrower',
        '',
        "ctx.http.router.get('/throw', () => { throw new Error('the secret of the school') })",
      ),
    )
    const server = await startServer(t, { args: [], config: settings(plugin) })
    const answer = await fetch(`${await server.url('httpd')}/throw`)
    t.equal(answer.status, 500)
    const { success, error } = (await answer.json()) as { success: string; error: string }
    t.equal(success, 'ERR')
    const [, reference] = /^internal error, reference (\w+)$/.exec(error) ?? []
    t.ok(reference)
    t.match(
      server.log().find(({ id, level }) => id === reference && level === 50),
      { msg: 'a request failed', err: { message: 'the secret of the school' } },
    )
    t.match(pluginOf(await server.status(), 'thrower'), { state: 'running' })
    await registers(t, server)
  },
)

t.test('a tap that throws adds nothing to the reply, and the laptop is registered', async (t) => {
  const body = `
    ctx.tap(Registration.enrol, () => { throw new Error('bad at enrol') })
    ctx.tap(Registration.registered, async () => { throw new Error('bad at registered') })`
  const source = `import { Registration } from 'sugar-server/plugins/id'\n${pluginSource('thrower', '', body)}`
  const plugin = await written(t, 'thrower.mjs', source)
  const server = await startServer(t, { args: [], config: settings(plugin) })
  const { reply } = (await enrol(newLaptop(), await server.url('id'))) as { reply?: object }
  t.same(reply, { success: 'OK', backupurl: '', backuppath: '', jabberserver: 'schoolserver' })
  t.equal((await server.stop()).code, 0)
  for (const [hook, message] of [
    ['id/enrol@1', 'bad at enrol'],
    ['id/registered@1', 'bad at registered'],
  ] as const) {
    t.match(
      server.log().find((line) => line.hook === hook),
      { plugin: 'thrower', level: 50, err: { message } },
    )
  }
})

t.test('a promise that fails while nobody listens is logged, and nothing else', async (t) => {
  const plugin = await written(
    t,
    'thrower.mjs',
    pluginSource(
      'thrower',
      '',
      "ctx.http.router.get('/drop', (ctx) => { void Promise.reject(new Error('dropped')); ctx.body = 'ok' })",
    ),
  )
  const server = await startServer(t, { args: [], config: settings(plugin) })
  for (let time = 0; time < 3; time += 1)
    t.equal((await fetch(`${await server.url('httpd')}/drop`)).status, 200)
  await registers(t, server)
  const lines = server.log().filter(({ err }) => err?.message === 'dropped')
  t.equal(lines.length, 3)
  t.match(lines[0], { level: 50, msg: 'a promise failed and nobody listened' })
  t.equal((await server.stop()).code, 0)
})

// An exception that nobody caught may have left anything half done, so that no plugin can be trusted any more: the
// server ends in order, with 70, and whoever watches over it starts it afresh.
t.test(
  'an exception out of a timer ends the server in order: logged, undone, 70, nothing lost',
  async (t) => {
    const body =
      "ctx.http.router.get('/later', (ctx) => { setTimeout(() => { throw new Error('too late') }); ctx.body = 'ok' })"
    const source = greeter
      .replace('    defer(', `    ${body.replace('ctx.http', 'http')}\n    defer(`)
      .replace(', defer }', ', defer, http }')
    const plugin = await written(t, 'greeter.mjs', source)
    const config = settings(plugin)
    const server = await startServer(t, { args: [], config })
    const ana = newLaptop('Ana')
    t.match(await enrol(ana, await server.url('id')), { outcome: 'registered' })
    t.equal((await fetch(`${await server.url('httpd')}/later`)).status, 200)
    const { code, signal } = await server.ended
    t.match({ code, signal }, { code: 70, signal: null })
    t.match(
      server.log().find(({ level }) => level === 60),
      { msg: /an exception that nobody caught: the server ends/, err: { message: 'too late' } },
    )
    t.equal(await readFile(join(server.root, 'gone'), 'utf8'), 'the greeter has gone', 'plugins were undone')
    const again = await startServer(t, { args: [], config, root: server.root })
    const guests = ['greeter', 'guests', '--json', '--root', again.root, '--plugins', `id,${plugin}`]
    t.match(JSON.parse((await cliHere(t, guests)).out), [{ nickname: 'Ana' }])
  },
)

t.test('a plugin that ends the process does not make it look like an end in order', async (t) => {
  const plugin = await written(
    t,
    'quitter.mjs',
    pluginSource('quitter', '', "ctx.http.router.get('/quit', () => process.exit(0))"),
  )
  const server = await startServer(t, { args: [], config: settings(plugin) })
  await t.rejects(fetch(`${await server.url('httpd')}/quit`))
  const { code, err } = await server.ended
  t.equal(code, 70)
  t.match(err, /^sugar-server: .*process\.exit/m)
})
