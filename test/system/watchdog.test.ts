import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { culpritIn } from '../../core/watchdog/culprit.js'
import { boundsFor } from '../../core/watchdog/watchdog.js'
import {
  launch,
  pluginSource,
  type Server,
  startServer,
  until,
  written,
} from '../support/core/server-process.js'
import { needs } from '../support/needs.js'
import { enrol, newLaptop } from '../support/sugaroid/registrants.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

// The event loop may stand still for three quarters of this; a machine under load needs some of it by itself.
const env = { WATCHDOG_USEC: '10000000' }
/** For a server that has begun: what loops takes a processor until the end. */
const shortEnv = { WATCHDOG_USEC: '6000000' }
const bound = 7500
const exitOfFaults = 70

const ports = '[core]\nhost = 127.0.0.1\nhttpd-port = 0\n[id]\nid-port = 0\n'
const settings = (plugin: string): string => ports.replace('[core]\n', `[core]\nplugins = id, ${plugin}\n`)

const forEver = 'function spin() { for (;;); }'
/** The same, and leaves the processor to others. */
const forEverAtRest =
  'const cell = new Int32Array(new SharedArrayBuffer(4)); function spin() { for (;;) Atomics.wait(cell, 0, 0, 20) }'

interface Loop {
  title: string
  /** What start() does. */
  body: string
  /** Makes it begin. */
  provoke?: (server: Server) => Promise<unknown>
  /** What the log says of where. */
  where: RegExp
}

const get = async (server: Server) => fetch(`${await server.url('httpd')}/spin`).catch(() => undefined)

const loops: Loop[] = [
  {
    title: 'in a route',
    body: `${forEver} ctx.http.router.get('/spin', function greet() { spin() })`,
    provoke: get,
    where: /in a route: spin \(.*looper\.mjs:\d+\)/,
  },
  {
    title: 'in a hook',
    body: `${forEverAtRest} ctx.tap(Registration.enrol, () => spin())`,
    provoke: async (server) => enrol(newLaptop(), await server.url('id')).catch(() => undefined),
    where: /in a hook: spin \(/,
  },
  {
    title: 'in a timer',
    body: `${forEverAtRest} ctx.http.router.get('/spin', (c) => { setTimeout(spin, 100); c.body = 'soon' })`,
    provoke: get,
    where: /in a timer: spin \(/,
  },
  { title: 'at its start', body: `${forEverAtRest} spin()`, where: /in its start or stop: spin \(/ },
  {
    title: 'in promises without end',
    body: "ctx.http.router.get('/spin', async function crawl() { for (;;) await null })",
    provoke: get,
    where: /in .*crawl \(/,
  },
  {
    title: 'in a pattern without end',
    body: "ctx.http.router.get('/spin', function match() { /^(a+)+$/.test('a'.repeat(60) + 'b') })",
    provoke: get,
    where: /in a route: match \(/,
  },
]

async function looping(t: Test, { title, body, provoke, where }: Loop): Promise<void> {
  const source = pluginSource('looper', '', body)
  const plugin = await written(
    t,
    'looper.mjs',
    `import { Registration } from 'sugar-server/plugins/id'\n${source}`,
  )
  const config = settings(plugin)
  const atStart = title.includes('start')
  const server = await (atStart
    ? launch(t, { args: [], config, env })
    : startServer(t, { args: [], config, env: shortEnv }))
  // A busy machine may have held up the start itself.
  const before = atStart ? 0 : server.log().length
  void provoke?.(server)
  const told = (level: number) =>
    server
      .log()
      .slice(before)
      .find((line) => line.level === level && /has not returned for \d+ s/.test(line.msg))
  const named = () => told(50) !== undefined || server.child.exitCode !== null
  await until(named, `the log to name what loops ${title}`)
  const asked = performance.now()
  server.child.kill('SIGTERM')
  const { code, signal } = await server.ended
  const took = performance.now() - asked
  t.match(
    { code, signal },
    { code: exitOfFaults, signal: null },
    `${title}: the exit code is that of a fault`,
  )
  t.ok(took < bound + 8000, `${title}: ended ${Math.round(took)} ms after SIGTERM`)
  t.match(told(50), { plugin: 'looper', msg: where }, title)
  t.match(told(50)?.msg, /^plugin looper has not returned/)
  t.match(told(60), { plugin: 'looper', msg: where }, title)
  t.match(told(60)?.msg, /the server ends, so that it can be started afresh/)
}

t.test('a plugin that never returns is named, and the server ends soon after SIGTERM', async (t) => {
  await Promise.all(loops.map((loop) => looping(t, loop)))
})

t.test('one that takes long and returns is named, and the server goes on', async (t) => {
  const body = `ctx.http.router.get('/slow', function slowly(c) {
    const end = Date.now() + 3500; while (Date.now() < end); c.body = 'done' })
    ctx.http.router.get('/wait', (c) => { spawnSync('sleep', ['4']); c.body = 'done' })`
  const source = `import { spawnSync } from 'node:child_process'\n${pluginSource('slow', '', body)}`
  const plugin = await written(t, 'slow.mjs', source)
  const server = await startServer(t, { args: [], config: settings(plugin), env })
  const answer = await fetch(`${await server.url('httpd')}/slow`)
  t.equal(await answer.text(), 'done')
  await until(() => server.log().some(({ msg }) => /turns again/.test(msg)), 'the good news')
  t.match(
    server.log().find(({ level }) => level === 50),
    { plugin: 'slow', msg: /has not returned for \d s in a route: slowly/ },
  )
  const late = await fetch(`${await server.url('httpd')}/wait`)
  t.equal(await late.text(), 'done', 'a call to the system that was long leaves nothing behind either')
  t.match(await enrol(newLaptop(), await server.url('id')), { outcome: 'registered' })
  t.equal((await server.stop()).code, 0)
})

t.test(
  'a call to the system that does not return ends it too, and no plugin is blamed for nothing',
  async (t) => {
    const body = "ctx.http.router.get('/wait', () => { spawnSync('sleep', ['3600']) })"
    const source = `import { spawnSync } from 'node:child_process'\n${pluginSource('waiter', '', body)}`
    const plugin = await written(t, 'waiter.mjs', source)
    const server = await startServer(t, { args: [], config: settings(plugin), env: shortEnv })
    void fetch(`${await server.url('httpd')}/wait`).catch(() => undefined)
    const { code, signal } = await server.ended
    t.match({ code, signal }, { code: null, signal: 'SIGKILL' })
    t.match(
      server.log().find(({ level }) => level === 60),
      { msg: /has stood still for \d+ s in a call to the system/ },
    )
  },
)

const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    print(s.recv(65536).decode(), flush=True)
`

t.test("systemd's watchdog hears from the event loop again and again", async (t) => {
  if (!needs(t, 'systemd-notify', 'systemd') || !needs(t, 'python3', 'python3')) return
  const socket = join(await temporaryDirectory(t), 'notify')
  const child = spawn('python3', ['-c', listener, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return closed
  })
  const heard: string[] = []
  createInterface(child.stdout).on('line', (line) => heard.push(line))
  await until(() => heard[0] === 'bound', 'the socket')
  const watched = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '4000000' }
  const server = await startServer(t, { env: watched })
  await until(() => heard.filter((line) => line === 'WATCHDOG=1').length >= 3, 'three signs of life')
  t.equal((await server.stop()).code, 0)
})

t.test('the bounds lie within what systemd allows, whatever it says', async (t) => {
  t.same(boundsFor(undefined), { warn: 5000, end: 30_000, endInSystem: 100_000 })
  t.same(boundsFor('120000000'), { warn: 5000, end: 30_000, endInSystem: 90_000 })
  for (const odd of ['', '0', '-5', 'x', '1e9', '99', ' 120000000'])
    t.same(boundsFor(odd), boundsFor(undefined))
  fc.assert(
    fc.property(fc.integer({ min: 100_000, max: 1e12 }), (usec) => {
      const { warn, end, endInSystem } = boundsFor(String(usec))
      return warn > 0 && warn < end && end <= endInSystem && endInSystem < usec / 1000
    }),
  )
})

t.test('the innermost plugin of a stack is named, whatever else is in it', async (t) => {
  const frame = fc.record({
    functionName: fc.string(),
    url: fc.oneof(
      fc.constantFrom('', 'file:///a/b.mjs', 'file:///a/c/d.mjs', 'node:x', 'file:///%'),
      fc.string(),
    ),
    lineNumber: fc.integer(),
  })
  const homes = [
    { plugin: 'outer', url: 'file:///a/b.mjs' },
    { plugin: 'inner', url: 'file:///a/c/plugin.mjs' },
  ]
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), (stack) => {
      const found = culpritIn(stack, homes)
      return found === undefined ? !stack.some(({ url }) => url.startsWith('file:')) : found.where !== ''
    }),
  )
  const at = (functionName: string, url: string) => ({ functionName, url, lineNumber: 9 })
  const stack = [at('read', 'node:fs'), at('look', 'file:///a/c/d.mjs'), at('ask', 'file:///a/b.mjs')]
  t.same(culpritIn(stack, homes), { plugin: 'inner', where: 'look (/a/c/d.mjs:10)' })
  t.same(culpritIn([at('', 'file:///z/core/http/edge.js')], homes), {
    plugin: undefined,
    where: 'a route: a function without a name (/z/core/http/edge.js:10)',
  })
  t.equal(culpritIn([at('read', 'node:fs')], homes), undefined)
})
