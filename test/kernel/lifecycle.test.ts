import { existsSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  type CollectionSpec,
  definePlugin,
  explain,
  flag,
  integer,
  news,
  path,
  port,
  program,
  RequestError,
  Store,
  type Stored,
  SystemError,
  text,
  token,
  writable,
} from '../../core/api.js'
import { boot, type TestHouse } from '../../core/testing.js'
import { booted, plugin, promised, states, unstarted } from '../support/core/boot-plugins.js'
import { freePort } from '../support/free-port.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const clock = token<{ now(): string }>('clock/clock@1')
const bell = token<{ ring(): string }>('bell/bell@1')

const clockPlugin = definePlugin({
  name: 'clock',
  api: 1,
  summary: 'tells the time',
  provides: { clock },
  start: () => ({ clock: { now: () => 'noon' } }),
})

/** A port on which a stranger listens. */
async function takenPort(t: Test): Promise<number> {
  const server = await listening()
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  return (server.address() as AddressInfo).port
}

function listening(): Promise<Server> {
  const server = createServer()
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

const problemsOf = async (house: TestHouse) =>
  Object.fromEntries((await house.status()).plugins.map((one) => [one.name, one]))

/** A plugin with a route on a port of its own. */
const onPort = (name: string) =>
  definePlugin({
    name,
    api: 1,
    summary: 'listens',
    options: { [`${name}-port`]: port({ help: 'Port.', default: 0 }) },
    start(ctx) {
      ctx.http.listener(`${name}-port`).get(`/${name}`, (http) => {
        http.body = name
      })
    },
  })

t.test('order', async (t) => {
  t.test('whoever is used starts first, needed or wanted; all else as it is listed', async (t) => {
    const said: string[] = []
    const starts = (name: string) => ({
      prepare: () => void said.push(`prepare ${name}`),
      start: () => void said.push(`start ${name}`),
    })
    const wanting = plugin('wanting', { wants: { bell }, ...starts('wanting') })
    const needing = plugin('needing', { needs: { clock }, ...starts('needing') })
    const ringing = plugin('ringing', {
      needs: { clock },
      provides: { bell },
      start: (() => {
        said.push('start ringing')
        return { bell: { ring: () => 'ding' } }
      }) as never,
    })
    const plain = plugin('plain', starts('plain'))
    const house = await booted(t, [wanting, plain, needing, ringing, clockPlugin])
    t.same(
      (await house.status()).plugins.map(({ name }) => name),
      ['clock', 'ringing', 'wanting', 'plain', 'needing'],
    )
    t.same(
      said.filter((one) => one.startsWith('start')),
      ['start ringing', 'start wanting', 'start plain', 'start needing'],
    )
    t.ok(said.lastIndexOf('prepare needing') < said.indexOf('start ringing'), 'all prepare before one starts')
  })

  t.test('plugins that use one another in a circle stop the boot, the circle is told', async (t) => {
    const ringing = plugin('ringing', { needs: { clock }, provides: { bell } })
    const ticking = plugin('ticking', { wants: { bell }, provides: { clock } })
    await t.rejects(boot({ plugins: [ringing, ticking, plugin('well')] }), {
      code: 'PLUGIN_CYCLE',
      message: 'plugins use one another in a circle: ringing -> ticking -> ringing',
      hint: 'disable one of them',
    })
  })

  t.test('a plugin cannot live on its own service', async (t) => {
    const own = plugin('own', { needs: { clock }, provides: { clock } })
    t.same(await states(await booted(t, [own, plugin('well')])), {
      well: 'running',
      own: 'failed SERVICE_MISSING',
    })
  })
})

t.test('services', async (t) => {
  t.test('the very instance comes to whoever asked for it, under the name he chose', async (t) => {
    const instance = { now: () => 'one' }
    let given: unknown
    const providing = definePlugin({
      name: 'providing',
      api: 1,
      summary: 'provides',
      provides: { clock },
      start: async () => ({ clock: instance }),
    })
    const using = definePlugin({
      name: 'using',
      api: 1,
      summary: 'uses',
      needs: { time: token<{ now(): string }>('clock/clock@1') },
      wants: { again: clock, bell },
      start(ctx) {
        given = [ctx.needs, ctx.wants, Object.isFrozen(ctx.needs), Object.isFrozen(ctx.wants)]
      },
    })
    t.same(await states(await booted(t, [using, providing])), { providing: 'running', using: 'running' })
    t.strictSame(given, [{ time: instance }, { again: instance }, true, true])
    t.equal((given as [{ time: unknown }])[0].time, instance)
  })

  t.test('a plugin returns what it promised, all of it and nothing else', async (t) => {
    const lying = (name: string, services: unknown, id: 'a/a@1' | 'b/b@1' | 'c/c@1') =>
      plugin(name, {
        provides: { promised: token(id) },
        start: (() => services) as never,
      })
    const house = await booted(t, [
      lying('less', {}, 'a/a@1'),
      lying('null', { promised: null }, 'b/b@1'),
      lying('more', { promised: 1, sung: 2 }, 'c/c@1'),
      plugin('user', { needs: { promised: token('c/c@1') } }),
      plugin('unpromised', { start: (() => ({ clock: {} })) as never }),
      plugin('well'),
    ])
    t.match(await problemsOf(house), {
      less: {
        state: 'failed',
        code: 'SERVICE_UNDECLARED',
        message: 'less: start() did not return promised',
      },
      null: { state: 'failed', message: 'null: start() did not return promised' },
      more: { state: 'failed', message: 'more: start() returned sung, which it does not provide' },
      user: {
        state: 'blocked',
        code: 'SERVICE_MISSING',
        message: 'user uses more, which does not run',
        hint: 'see why more does not run',
      },
      unpromised: { state: 'failed', code: 'SERVICE_UNDECLARED' },
      well: { state: 'running' },
    })
  })

  t.test('what a failed plugin would have provided reaches nobody', async (t) => {
    let wanted: unknown = 'not asked'
    const silent = plugin('silent', {
      provides: { bell },
      commands: { ring: { summary: 'ring it' } },
      start: (() => ({ bell: { ring: () => 'ding' } })) as never,
    })
    const wanting = definePlugin({
      name: 'wanting',
      api: 1,
      summary: 'wants',
      wants: { bell },
      start(ctx) {
        wanted = ctx.wants.bell
      },
    })
    const needing = plugin('needing', { needs: { bell } })
    const further = plugin('further', { needs: { bell }, wants: { clock } })
    const house = await booted(t, [silent, wanting, needing, further])
    t.match(await problemsOf(house), {
      silent: { state: 'failed', message: 'silent: start() did not say what the command "ring" does' },
      wanting: { state: 'running' },
      needing: { state: 'blocked' },
      further: { state: 'blocked' },
    })
    t.equal(wanted, undefined)
  })

  t.test('a service that no enabled plugin provides is told with where to find it', async (t) => {
    const needing = plugin('needing', { needs: { clock }, provides: { bell } })
    const behind = plugin('behind', { needs: { bell } })
    const house = await booted(t, [behind, needing, plugin('well')])
    t.match(await problemsOf(house), {
      needing: {
        state: 'failed',
        code: 'SERVICE_MISSING',
        message: 'needing needs clock/clock@1, which no other enabled plugin provides',
        hint: 'enable the plugin clock',
      },
      behind: { state: 'failed', code: 'SERVICE_MISSING' },
      well: { state: 'running' },
    })
  })

  t.test('a service that two provide is who came first: the other fails, as with an option', async (t) => {
    const again = plugin('again', { provides: { clock } })
    const grabbing = plugin('grabbing', {
      options: { 'httpd-port': port({ help: 'Port.', default: 1 }) },
    })
    const house = await booted(t, [clockPlugin, again, grabbing])
    t.match(await problemsOf(house), {
      clock: { state: 'running' },
      again: {
        state: 'failed',
        code: 'PLUGIN_CONFLICT',
        message: "again claims the service clock/clock@1, which is clock's",
      },
      grabbing: { message: "grabbing claims the option httpd-port, which is core's" },
    })
  })
})

t.test('containment', async (t) => {
  t.test('a plugin whose machine lacks something is unavailable, and is not even prepared', async (t) => {
    let touched = false
    const lacking = plugin('lacking', {
      provides: { bell },
      system: [
        program('sh', { package: 'dash' }),
        program('no-such-program', { package: 'no-such-package' }),
      ],
      prepare() {
        touched = true
      },
      start() {
        touched = true
      },
    })
    const house = await booted(t, [lacking, plugin('user', { needs: { bell } }), plugin('well')])
    t.match(await problemsOf(house), {
      lacking: {
        state: 'unavailable',
        code: 'PROGRAM_MISSING',
        message: 'the program no-such-program is not installed',
        hint: 'install the package no-such-package: apt-get install no-such-package',
      },
      user: { state: 'blocked', message: 'user uses lacking, which does not run' },
      well: { state: 'running' },
    })
    t.notOk(touched)
  })

  t.test('a directory that cannot be written makes unavailable, one that can be made does not', async (t) => {
    const folder = await temporaryDirectory(t)
    const file = join(folder, 'file')
    await writeFile(file, '')
    const shut = join(folder, 'shut')
    await mkdir(shut, { mode: 0o500 })
    t.teardown(() => chmod(shut, 0o700))
    const keeping = (name: string) =>
      plugin(name, {
        options: { [`${name}-path`]: path({ help: 'Place.', default: '/nowhere' }) },
        system: [writable(`${name}-path`)],
      })
    const house = await booted(t, [keeping('made'), keeping('taken'), keeping('under'), keeping('shut')], {
      'made-path': join(folder, 'a', 'b', 'c'),
      'taken-path': file,
      'under-path': join(file, 'below'),
      'shut-path': join(shut, 'below'),
    })
    const isRoot = process.getuid?.() === 0
    t.match(await problemsOf(house), {
      made: { state: 'running' },
      taken: { state: 'unavailable', code: 'NOT_WRITABLE', message: `taken-path: cannot write ${file}` },
      under: {
        state: 'unavailable',
        hint: `give this user the directory ${file}, or set under-path to another`,
      },
      shut: { state: isRoot ? 'running' : 'unavailable' },
    })
    t.notOk(existsSync(join(folder, 'a')), 'looking makes nothing')
  })

  t.test('a plugin that throws fails with its own words, at whatever moment; the others serve', async (t) => {
    const oh = (): never => {
      throw new Error('oh')
    }
    const said: string[] = []
    const house = await booted(t, [
      plugin('at-probe', { system: [{ what: 'luck', look: oh }] }),
      plugin('at-prepare', { prepare: oh, start: () => void said.push('started unprepared') }),
      plugin('at-start', { start: oh }),
      plugin('rejecting', { start: () => Promise.reject('no Error at all') }),
      plugin('explained', {
        start() {
          throw new SystemError('PROGRAM_MISSING', 'no bell', { hint: 'buy one' })
        },
      }),
      plugin('at-ready', {
        start(ctx) {
          ctx.on('ready', async () => oh())
          ctx.defer(() => said.push('undone'))
          ctx.http.router.get('/at-ready', (http) => {
            http.body = 'still here'
          })
        },
      }),
      plugin('well', {
        start(ctx) {
          ctx.on('ready', () => void said.push('ready'))
        },
      }),
    ])
    t.match(await problemsOf(house), {
      'at-probe': { state: 'failed', code: 'PLUGIN_FAILED', message: 'oh' },
      'at-prepare': { state: 'failed', code: 'PLUGIN_FAILED', message: 'oh' },
      'at-start': { state: 'failed', code: 'PLUGIN_FAILED', message: 'oh' },
      rejecting: { state: 'failed', message: 'no Error at all' },
      explained: { state: 'failed', code: 'PROGRAM_MISSING', message: 'no bell', hint: 'buy one' },
      'at-ready': { state: 'failed', code: 'PLUGIN_FAILED', message: 'oh' },
      well: { state: 'running' },
    })
    t.same(said, ['undone', 'ready'])
    t.equal((await fetch(`${await house.url('httpd')}/at-ready`)).status, 404)
  })

  t.test('with a plugin that fails once it ran go those who use it, users first', async (t) => {
    const said: string[] = []
    const base = definePlugin({
      name: 'base',
      api: 1,
      summary: 'fails late',
      provides: { clock },
      start(ctx) {
        ctx.defer(() => said.push('base undone'))
        ctx.on('ready', () => {
          throw new Error('too late')
        })
        return { clock: { now: () => 'never' } }
      },
    })
    const user = definePlugin({
      name: 'user',
      api: 1,
      summary: 'uses',
      needs: { clock },
      provides: { bell },
      start(ctx) {
        ctx.defer(() => said.push('user undone'))
        ctx.on('ready', () => void said.push('user ready'))
        return { bell: { ring: () => ctx.needs.clock.now() } }
      },
    })
    const further = plugin('further', {
      needs: { bell },
      start: (ctx) => ctx.defer(() => said.push('further undone')),
    })
    const house = await booted(t, [base, user, further, plugin('well')])
    t.same(await states(house), {
      base: 'failed PLUGIN_FAILED',
      user: 'blocked SERVICE_MISSING',
      further: 'blocked SERVICE_MISSING',
      well: 'running',
    })
    t.same(said, ['further undone', 'user undone', 'base undone'])
  })

  t.test('strict: the first plugin that cannot run stops the boot and leaves nothing', async (t) => {
    const said: string[] = []
    const well = plugin('well', { start: (ctx) => ctx.defer(() => said.push('undone')) })
    const broken = plugin('broken', {
      start() {
        throw new SystemError('PROGRAM_MISSING', 'no bell', { hint: 'buy one' })
      },
    })
    const { house, root } = await unstarted(t, [well, broken], { strict: 'yes' })
    await t.rejects(house.start({ listen: true }), {
      code: 'PROGRAM_MISSING',
      message: 'no bell',
      hint: 'buy one',
      plugin: 'broken',
    })
    t.same(said, ['undone'])
    t.notOk(existsSync(join(root, 'run', 'control.sock')))
  })

  t.test('strict: what is wrong before anything runs keeps anything from running', async (t) => {
    let started = false
    const well = plugin('well', {
      start() {
        started = true
      },
    })
    const { house } = await unstarted(t, [well, plugin('lost', { needs: { clock } })], { strict: 'yes' })
    await t.rejects(house.start({ listen: true }), { code: 'SERVICE_MISSING', plugin: 'lost' })
    t.notOk(started)
  })

  t.test('a house in which nothing runs does not stand', async (t) => {
    const broken = plugin('broken', {
      start() {
        throw new Error('oh')
      },
    })
    await t.rejects(boot({ plugins: [broken] }), {
      code: 'PLUGIN_FAILED',
      message: 'no plugin can run: oh',
    })
  })

  t.test('the test kit leaves no directory when a boot fails', async (t) => {
    const folder = await temporaryDirectory(t)
    const before = process.env.TMPDIR
    process.env.TMPDIR = folder
    t.teardown(() => {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    })
    const { readdir } = await import('node:fs/promises')
    const broken = plugin('broken', { start: () => Promise.reject(new Error('oh')) })
    await t.rejects(boot({ plugins: [broken] }))
    await t.rejects(boot({ plugins: [plugin('well')], settings: { 'no-such-option': '1' } }))
    t.same(await readdir(folder), [])
  })
})

t.test('ports', async (t) => {
  t.test('a busy port fails only the plugin that asked for it', async (t) => {
    const taken = await takenPort(t)
    const house = await booted(t, [onPort('busy'), onPort('free')], { 'busy-port': String(taken) })
    t.match(await problemsOf(house), {
      busy: {
        state: 'failed',
        code: 'PORT_BUSY',
        message: `busy-port (the command line): port ${taken} on 127.0.0.1 is in use by another program`,
        hint: 'stop the other program, or choose another port',
      },
      free: { state: 'running' },
    })
    t.equal(await (await fetch(`${await house.url('free')}/free`)).text(), 'free')
    t.same((await house.status()).listeners.map(({ name }) => name).sort(), ['free', 'httpd'])
  })

  t.test('without its own port the house stops, and gives its root free', async (t) => {
    const taken = await takenPort(t)
    const root = await temporaryDirectory(t)
    const plugins = [plugin('well')]
    await t.rejects(boot({ plugins, root, settings: { 'httpd-port': String(taken) } }), {
      code: 'PORT_BUSY',
      message: /^httpd-port/,
    })
    const house = await boot({ plugins, root })
    t.teardown(() => house.dispose())
    t.same(await states(house), { well: 'running' })
  })

  t.test(
    'plugins that name the same port share it, with the house too; one leaves, the other stays',
    async (t) => {
      const shared = String(await freePort())
      const house = await booted(t, [onPort('one'), onPort('two'), onPort('own')], {
        'one-port': shared,
        'two-port': shared,
        'httpd-port': shared,
      })
      const at = `http://127.0.0.1:${shared}`
      t.equal(await house.url('one'), at)
      t.equal(await house.url('two'), at)
      t.equal(await house.url('httpd'), at)
      t.not(await house.url('own'), at)
      t.equal(await (await fetch(`${at}/one`)).text(), 'one')
      t.equal(await (await fetch(`${at}/two`)).text(), 'two')
      t.equal((await fetch(`${at}/health`)).status, 200)
      const { kernel } = house.house
      const one = kernel.members.find(({ name }) => name === 'one')
      if (one !== undefined) await kernel.fail(one, new Error('taken out'))
      t.equal((await fetch(`${at}/one`)).status, 404)
      t.equal(await (await fetch(`${at}/two`)).text(), 'two')
    },
  )
})

t.test('jobs', async (t) => {
  t.test('a job never runs twice at once, and goes on after a failure, which is logged', async (t) => {
    const enough = promised()
    let atOnce = 0
    let most = 0
    let runs = 0
    const working = plugin('working', {
      start(ctx) {
        ctx.every(0.001, async () => {
          atOnce += 1
          most = Math.max(most, atOnce)
          runs += 1
          await new Promise((resolve) => setTimeout(resolve, 10))
          atOnce -= 1
          if (runs === 4) enough.keep()
          if (runs === 2) throw new Error('a bad day')
        })
      },
    })
    const { house, log } = await unstarted(t, [working])
    await house.start({ listen: false })
    await enough.promise
    t.equal(most, 1)
    t.match(
      log.filter(({ level }) => level === 50),
      [{ plugin: 'working', err: { message: 'a bad day' } }],
    )
    await house.stop()
    const then = runs
    await new Promise((resolve) => setTimeout(resolve, 30))
    t.equal(runs, then, 'it ends with its plugin')
  })

  t.test('stopping waits for the run under way', async (t) => {
    const begun = promised()
    const goOn = promised()
    let stopped = false
    const working = plugin('working', {
      start: (ctx) =>
        ctx.every(0.001, () => {
          begun.keep()
          return goOn.promise
        }),
    })
    const { house } = await unstarted(t, [working])
    await house.start({ listen: false })
    await begun.promise
    const stopping = house.stop().then(() => {
      stopped = true
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.notOk(stopped)
    goOn.keep()
    await stopping
  })

  t.test('a job of every other month does not run at once', async (t) => {
    let runs = 0
    const rare = plugin('rare', {
      start: (ctx) =>
        ctx.every(60 * 24 * 3600, () => {
          runs += 1
        }),
    })
    await booted(t, [rare])
    await new Promise((resolve) => setTimeout(resolve, 30))
    t.equal(runs, 0)
  })
})

t.test('the end', async (t) => {
  t.test('work under way is finished: signals abort, drain taps and their news are awaited', async (t) => {
    const begun = promised()
    const finished = news<string>('slow/finished@1')
    const said: string[] = []
    const slow = plugin('slow', {
      start(ctx) {
        ctx.http.router.get('/slow', async (http) => {
          begun.keep()
          await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
          await new Promise(setImmediate)
          http.body = 'finished'
        })
        ctx.on('drain', async () => {
          t.ok(ctx.signal.aborted)
          await new Promise(setImmediate)
          said.push('drained')
          ctx.tell(finished, 'slow')
        })
        ctx.on('drain', () => {
          throw new Error('cannot finish')
        })
        ctx.defer(() => said.push('undone'))
      },
    })
    const listening = plugin('listening', {
      start: (ctx) =>
        ctx.tap(finished, async (who) => {
          for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate)
          said.push(`heard of ${who}`)
        }),
    })
    const { house, log } = await unstarted(t, [slow, listening])
    await house.start({ listen: true })
    const { listeners } = await house.status()
    const answer = fetch(`http://127.0.0.1:${listeners[0]?.port}/slow`).then((response) => response.text())
    await begun.promise
    t.same(await house.stop(), [])
    t.equal(await answer, 'finished')
    t.same(said, ['drained', 'heard of slow', 'undone'])
    t.match(
      log.filter(({ level }) => level === 50),
      [{ plugin: 'slow', msg: 'slow could not finish its work', err: { message: 'cannot finish' } }],
    )
  })

  t.test('work that does not end is given up after drain-seconds', async (t) => {
    let undone = false
    const endless = plugin('endless', {
      start(ctx) {
        ctx.on('drain', () => new Promise(() => undefined))
        ctx.defer(() => {
          undone = true
        })
      },
    })
    const { house } = await unstarted(t, [endless], { 'drain-seconds': '0' })
    await house.start({ listen: true })
    await house.stop()
    t.ok(undone)
  })

  t.test('whoever asks a second time is in a hurry: nothing is waited for', async (t) => {
    const endless = plugin('endless', {
      start: (ctx) => ctx.on('drain', () => new Promise(() => undefined)),
    })
    const { house } = await unstarted(t, [endless], { 'drain-seconds': '600' })
    await house.start({ listen: true })
    const first = house.stop()
    const second = house.stop()
    t.same(await Promise.all([first, second]), [[], []])
    t.equal((await house.status()).phase, 'stopped')
  })
})

t.test('documents', async (t) => {
  interface Note {
    name: string
    text: string
  }
  const kind: CollectionSpec<Note> = { key: 'name' }
  const notes = (name: string) =>
    definePlugin({
      name,
      api: 1,
      summary: 'keeps notes',
      collections: { notes: kind },
      commands: { count: { summary: 'count notes' }, add: { summary: 'add a note' } },
      start(ctx) {
        const kept = ctx.store.notes
        ctx.command('count', async (call) => call.print(String(await kept.count({}))))
        ctx.command('add', async () => void (await kept.insert({ name: 'one', text: name })))
      },
    })

  /** A plugin that provides the store, and what was opened in it. */
  const memory = (spec: Parameters<typeof plugin>[1] = {}) => {
    const opened: string[] = []
    const docs = new Map<string, object>()
    const store: Store = {
      async open(name) {
        opened.push(name)
        return {
          count: async () => docs.size,
          insert: async (doc: object) => {
            docs.set(name, doc)
            return { ...doc, rev: 1 } as Stored<object>
          },
        } as never
      },
      status: () => ({ driver: 'memory', repairs: [] }),
      close: async () => undefined,
    }
    const one = plugin('memory', { provides: { store: Store }, start: (() => ({ store })) as never, ...spec })
    return { plugin: one, opened }
  }

  t.test('each plugin has collections of its own, and finds them again', async (t) => {
    const root = await temporaryDirectory(t)
    const plugins = [notes('one'), notes('two')]
    const first = await boot({ plugins, root })
    t.match(await first.command(['one', 'add']), { ended: { exit: 0 } })
    t.match(await first.command(['one', 'count']), { out: '1\n' })
    t.match(await first.command(['two', 'count']), { out: '0\n' })
    t.match((await first.status()).store, { driver: 'nedb' })
    await first.dispose()
    const second = await boot({ plugins, root })
    t.teardown(() => second.dispose())
    t.match(await second.command(['one', 'count']), { out: '1\n' })
  })

  t.test('nobody who keeps documents: no store is opened', async (t) => {
    const house = await booted(t, [plugin('well')])
    t.equal((await house.status()).store, undefined)
    t.notOk(existsSync(join(house.root, 'store')))
  })

  t.test('a plugin that provides the store keeps the documents of all, and starts before them', async (t) => {
    const { plugin: store, opened } = memory()
    const house = await booted(t, [notes('one'), store, notes('two')])
    t.same(opened, ['one/notes', 'two/notes'])
    t.match(await house.command(['one', 'add']), { ended: { exit: 0 } })
    t.match(await house.command(['one', 'count']), { out: '1\n' })
    t.match((await house.status()).store, { driver: 'memory' })
    t.notOk(existsSync(join(house.root, 'store')), "the house's own store stays shut")
  })

  for (const [how, spec, settings] of [
    ['lacks a program', { system: [program('no-such-program', { package: 'none' })] }, {}],
    ['fails to start', { start: () => Promise.reject(new Error('no connection')) }, {}],
    ['needs what nobody provides', { needs: { clock } }, {}],
    [
      'has wrong settings',
      { options: { 'memory-size': integer({ help: 'Size.', default: 1, min: 1, max: 9 }) } },
      { 'memory-size': '10' },
    ],
  ] as const) {
    t.test(`when the plugin with the store ${how}, documents go nowhere else`, async (t) => {
      const { plugin: store } = memory(spec as never)
      const house = await booted(t, [notes('one'), store, plugin('well')], settings)
      const { one, memory: failed, well } = await problemsOf(house)
      t.match(one, { state: 'blocked', message: 'one uses memory, which does not run' })
      t.not(failed?.state, 'running')
      t.match(well, { state: 'running' })
      t.notOk(existsSync(join(house.root, 'store')))
    })
  }
})

t.test('settings reach a plugin frozen, its own and those of the house', async (t) => {
  let given: unknown
  let prepared: unknown
  const reading = definePlugin({
    name: 'reading',
    api: 1,
    summary: 'reads',
    options: {
      'reading-word': text({ help: 'Word.', default: 'none' }),
      'reading-loud': flag({ help: 'Loud.', default: false }),
    },
    prepare({ config }) {
      prepared = config
    },
    start({ config }) {
      given = [config['reading-word'], config['reading-loud'], config.hostname, Object.isFrozen(config)]
    },
  })
  await booted(t, [reading], { 'reading-word': 'hello', hostname: 'school' })
  t.strictSame(given, ['hello', false, 'school', true])
  t.match(prepared, { 'reading-word': 'hello' })
})

t.test('explain collects what each plugin knows, whoever fails', async (t) => {
  const knowing = (name: string, spec: { fails?: boolean } = {}) =>
    plugin(name, {
      start: (ctx) =>
        ctx.tap(explain, (_, who) => {
          if (spec.fails) throw new Error('oh')
          return who === 'SHC1' ? { [name]: { lines: [`${name} knows ${who}`], facts: { who } } } : undefined
        }),
    })
  const house = await booted(t, [knowing('id'), knowing('clumsy', { fails: true }), knowing('backup')])
  t.same(await house.house.explain('SHC1'), {
    id: { lines: ['id knows SHC1'], facts: { who: 'SHC1' } },
    backup: { lines: ['backup knows SHC1'], facts: { who: 'SHC1' } },
  })
  t.same(await house.house.explain('SHC2'), {})
})

t.test('health', async (t) => {
  const health = async (house: TestHouse) => {
    const answer = await fetch(`${await house.url('httpd')}/health`)
    return { status: answer.status, body: await answer.json() }
  }

  t.test('what plugins find wrong shows in status and turns /health to 503, and back', async (t) => {
    let problem: string | undefined = 'the disk is nearly full'
    const looking = plugin('looking', {
      start(ctx) {
        ctx.health('disk', async () => problem)
        ctx.health('luck', () => {
          if (problem !== undefined) throw new Error('cannot look')
          return undefined
        })
      },
    })
    const house = await booted(t, [looking])
    t.same((await house.status()).health, [
      { plugin: 'looking', what: 'disk', problem: 'the disk is nearly full' },
      { plugin: 'looking', what: 'luck', problem: 'cannot look' },
    ])
    t.match(await health(house), {
      status: 503,
      body: { status: 'degraded', phase: 'ready', plugins: { looking: 'running' } },
    })
    t.notMatch(JSON.stringify(await health(house)), 'nearly full', 'the network is not told what is wrong')
    problem = undefined
    t.match(await health(house), { status: 200, body: { status: 'ok' } })
  })

  t.test('a plugin that does not run turns /health to 503', async (t) => {
    const broken = plugin('broken', { start: () => Promise.reject(new Error('secret')) })
    const house = await booted(t, [broken, plugin('well')])
    const answer = await health(house)
    t.match(answer, { status: 503, body: { plugins: { broken: 'failed', well: 'running' } } })
    t.notMatch(JSON.stringify(answer), 'secret')
  })
})

t.test('commands', async (t) => {
  const rows = [
    { name: 'Ana', size: 3 },
    { name: 'E\u001b[2Jva\n\u202e', size: 12 },
  ]
  const commanding = definePlugin({
    name: 'commanding',
    api: 1,
    summary: 'has commands',
    options: { 'commanding-word': text({ help: 'Word.', default: 'none' }) },
    commands: {
      greet: {
        summary: 'greet somebody',
        args: { who: { help: 'who' }, again: { help: 'again', optional: true } },
        options: {
          times: integer({ help: 'Times.', default: 1, min: 1, max: 9 }),
          place: path({ help: 'Place.', default: '/' }),
        },
      },
      all: { summary: 'list all', lists: true },
      fail: { summary: 'fail', args: { how: { help: 'how' } } },
      take: { summary: 'take files', args: { file: { help: 'file', input: true } } },
    },
    start(ctx) {
      ctx.command('greet', ({ args, options, print, note }) => {
        note(`${options.times} times, ${args.again ?? 'not again'}, ${options.place}`)
        for (let time = 0; time < options.times; time += 1) print(`hello ${args.who}`)
      })
      ctx.command('all', (call) =>
        call.list(rows, [
          { title: 'name', text: ({ name }) => name },
          { title: 'size', text: ({ size }) => String(size) },
        ]),
      )
      ctx.command('fail', ({ args }) => {
        if (args.how === 'code') return 3
        if (args.how === 'refusal')
          throw new RequestError('NOT_FOUND', 'no such laptop', { hint: 'look again' })
        throw new Error('oh')
      })
      ctx.command('take', async (call) => {
        for await (const { path, bytes } of call.files()) call.write(`${path}: ${bytes.toString()}`)
      })
    },
  })

  t.test('take arguments and options, and speak on both outputs', async (t) => {
    const house = await booted(t, [commanding])
    t.same(
      await house.command(['commanding', 'greet'], {
        args: { who: 'Ana\u001b[31m' },
        options: { times: '2', place: 'sub' },
      }),
      {
        ended: { exit: 0 },
        out: 'hello Ana\\u001b[31m\nhello Ana\\u001b[31m\n',
        err: '2 times, not again, /sub\n',
      },
    )
    t.match(
      await house.command(['commanding', 'greet'], { args: { who: 'Ana' }, options: { times: '10' } }),
      {
        ended: {
          exit: 64,
          code: 'USAGE',
          message: '--times must be a whole number from 1 to 9, not "10"',
        },
        out: '',
      },
    )
  })

  t.test('list rows for people, and whole for programs; neither can act on a terminal', async (t) => {
    const house = await booted(t, [commanding])
    const table = await house.command(['commanding', 'all'])
    t.equal(
      table.out,
      [`${'name'.padEnd(24)}  size`, `${'Ana'.padEnd(24)}  3`, 'E\\u001b[2Jva\\u000a\\u202e  12', ''].join(
        '\n',
      ),
    )
    const json = await house.command(['commanding', 'all'], { json: true })
    t.same(JSON.parse(json.out), rows)
    t.notMatch(json.out, /[\u001b\u202e]/)
  })

  t.test('end with their own code, with what was refused, or with what broke', async (t) => {
    const house = await booted(t, [commanding])
    const fail = async (how: string) => (await house.command(['commanding', 'fail'], { args: { how } })).ended
    t.same(await fail('code'), { exit: 3 })
    t.same(await fail('refusal'), {
      exit: 66,
      code: 'NOT_FOUND',
      message: 'no such laptop',
      hint: 'look again',
    })
    t.match(await fail('bug'), { exit: 70, message: 'oh' })
  })

  t.test('get the files that were sent along', async (t) => {
    const house = await booted(t, [commanding])
    const files = [{ path: 'a/b.txt', bytes: Buffer.from('content') }]
    t.match(await house.command(['commanding', 'take'], { files }), { out: 'a/b.txt: content' })
  })

  t.test('that are not there, or whose plugin does not run, say so', async (t) => {
    const broken = plugin('broken', {
      commands: { go: { summary: 'go' } },
      start: () => Promise.reject(new SystemError('PROGRAM_MISSING', 'no bell', { hint: 'buy one' })),
    })
    const house = await booted(t, [commanding, broken])
    t.match((await house.command(['stranger', 'go'])).ended, {
      exit: 66,
      code: 'NOT_FOUND',
      message: 'the plugin stranger is not enabled',
    })
    t.match((await house.command(['broken', 'go'])).ended, {
      exit: 75,
      code: 'UNAVAILABLE',
      message: 'broken cannot do that now: no bell',
      hint: 'buy one',
    })
    for (const name of ['dance', 'constructor']) {
      const { ended, out } = await house.command(['commanding', name])
      t.not(ended.exit, 0)
      t.equal(out, '')
    }
  })

  t.test('must be declared to be given', async (t) => {
    const hasty = plugin('hasty', {
      start: (ctx) =>
        (ctx as unknown as { command(name: string, run: () => void): void }).command('dance', () => {}),
    })
    const house = await booted(t, [hasty, plugin('well')])
    t.match(await problemsOf(house), {
      hasty: { state: 'failed', message: 'hasty: the command "dance" is not declared' },
    })
  })
})
