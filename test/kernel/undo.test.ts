import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { type Gate, gate, token } from '../../core/api.js'
import { UndoStack } from '../../core/kernel/undo.js'
import { booted, plugin, promised, states, unstarted } from '../support/core/boot-plugins.js'

t.test('what was done last is undone first, one after the other', async (t) => {
  const undo = new UndoStack()
  const said: string[] = []
  for (const name of ['first', 'second', 'third']) {
    undo.add(async () => {
      said.push(`${name} begins`)
      await new Promise(setImmediate)
      said.push(`${name} ends`)
    })
  }
  t.same(await undo.dispose(), [])
  t.same(said, ['third begins', 'third ends', 'second begins', 'second ends', 'first begins', 'first ends'])
})

t.test('disposing twice gives the same promise and undoes once', async (t) => {
  const undo = new UndoStack()
  let times = 0
  undo.add(() => {
    times += 1
  })
  const once = undo.dispose()
  t.equal(undo.dispose(), once)
  await once
  t.equal(undo.dispose(), once)
  await undo.dispose()
  t.equal(times, 1)
})

t.test('an undo that fails stops no other, and all errors come back in order', async (t) => {
  const undo = new UndoStack()
  const said: string[] = []
  undo.add(() => said.push('first'))
  undo.add(() => {
    throw new Error('second')
  })
  undo.add(() => said.push('third'))
  undo.add(() => Promise.reject('fourth, no Error'))
  const errors = await undo.dispose()
  t.same(said, ['third', 'first'])
  t.same(
    errors.map(({ message }) => message),
    ['fourth, no Error', 'second'],
  )
})

t.test('an undo that hangs has failed after a while, and stops no other', async (t) => {
  const undo = new UndoStack(undefined, 0.02)
  const said: string[] = []
  undo.add(() => said.push('first'))
  undo.add(() => new Promise(() => undefined))
  const errors = await undo.dispose()
  t.same(said, ['first'])
  t.match(errors, [{ message: 'it took longer than 0.02 s' }])
})

t.test('what is added after disposal is undone at once', async (t) => {
  const undo = new UndoStack()
  await undo.dispose()
  let undone = false
  undo.add(() => {
    undone = true
  })
  t.ok(undone)
})

t.test('what is added while disposal runs is waited for', async (t) => {
  const undo = new UndoStack()
  const said: string[] = []
  undo.add(() => said.push('first'))
  undo.add(() => {
    undo.add(async () => {
      said.push('late begins')
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      said.push('late ends')
    })
    said.push('second')
  })
  await undo.dispose()
  t.same(said.sort(), ['first', 'late begins', 'late ends', 'second'])
})

t.test('every error is told when it happens, that of a late undo too', async (t) => {
  const told: string[] = []
  const undo = new UndoStack(({ message }) => told.push(message))
  undo.add(() => Promise.reject(new Error('early')))
  await undo.dispose()
  t.same(told, ['early'])
  undo.add(() => {
    throw new Error('late')
  })
  await new Promise(setImmediate)
  t.same(told, ['early', 'late'])
})

t.test('a start that fails half-way leaves nothing behind, and the others run', async (t) => {
  const admit: Gate<string> = gate('half/admit@1')
  const said: string[] = []
  let opened: Server | undefined
  let ticks = 0
  const half = plugin('half', {
    async start(ctx) {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      opened = server
      ctx.defer(() => new Promise((resolve) => server.close(resolve)))
      ctx.defer(() => said.push('second undo'))
      ctx.defer(() => said.push('first undo'))
      ctx.every(0.001, () => {
        ticks += 1
      })
      ctx.tap(admit, () => {
        said.push('tapped')
      })
      ctx.http.router.get('/half', (http) => {
        http.body = 'half'
      })
      ctx.health('half', () => 'half is never well')
      throw new Error('no further')
    },
  })
  const whole = plugin('whole', {
    start(ctx) {
      ctx.http.router.get('/whole', (http) => {
        http.body = 'whole'
      })
    },
  })
  const house = await booted(t, [half, whole])
  t.same(await states(house), { half: 'failed PLUGIN_FAILED', whole: 'running' })
  t.same(said, ['first undo', 'second undo'])
  t.equal(opened?.listening, false, 'its socket is closed')
  await house.house.kernel.hooks.ask(admit, 'who')
  t.notOk(said.includes('tapped'), 'its tap is passed over')
  t.same((await house.status()).health, [], 'its health is not asked for')
  const url = await house.url('httpd')
  t.equal((await fetch(`${url}/half`)).status, 404, 'its route is gone')
  t.equal(await (await fetch(`${url}/whole`)).text(), 'whole')
  const before = ticks
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(ticks, before, 'its job runs no more')
})

t.test('plugins are undone in reverse: who uses a service goes before who provides it', async (t) => {
  const service = token<string>('base/service@1')
  const said: string[] = []
  const user = plugin('user', {
    needs: { service },
    start: (ctx) => ctx.defer(() => said.push('user')),
  })
  const base = plugin('base', {
    provides: { service },
    start: ((ctx: { defer(undo: () => unknown): void }) => {
      ctx.defer(async () => {
        await new Promise(setImmediate)
        said.push('base')
      })
      return { service: 'served' }
    }) as never,
  })
  const house = await booted(t, [user, base])
  t.same(await house.house.stop(), [])
  t.same(said, ['user', 'base'])
  t.same(await states(house), { base: 'stopped', user: 'stopped' })
})

t.test('stopping twice undoes once, and gives both the same answer', async (t) => {
  let times = 0
  const house = await booted(t, [
    plugin('one', {
      start: (ctx) =>
        ctx.defer(() => {
          times += 1
        }),
    }),
  ])
  const [first, second] = await Promise.all([house.house.stop(), house.house.stop()])
  t.equal(first, second)
  t.equal(times, 1)
})

t.test(
  'an undo that fails is logged under its plugin, stops no other, and is given back to whoever stops the house',
  async (t) => {
    const said: string[] = []
    const clumsy = plugin('clumsy', {
      start(ctx) {
        ctx.defer(() => said.push('clumsy'))
        ctx.defer(() => {
          throw new Error('it is stuck')
        })
      },
    })
    const deft = plugin('deft', { start: (ctx) => ctx.defer(() => said.push('deft')) })
    const { house, log, root } = await unstarted(t, [deft, clumsy])
    await house.start({ listen: true })
    const errors = await house.stop()
    t.match(errors, [{ message: 'it is stuck' }])
    t.equal(errors.length, 1)
    t.same(said, ['clumsy', 'deft'])
    const stuck = log.filter(({ err }) => err?.message === 'it is stuck')
    t.match(stuck, [{ plugin: 'clumsy', level: 50 }])
    t.equal(stuck.length, 1, 'it is told once')
    t.notOk(existsSync(join(root, 'run', 'control.sock')), 'the control socket has gone all the same')
  },
)

t.test(
  'stopped while a plugin starts: its signal aborts, what it defers later is undone at once',
  async (t) => {
    const begun = promised()
    const goOn = promised()
    const said: string[] = []
    let aborted = false
    const slow = plugin('slow', {
      async start(ctx) {
        ctx.defer(() => said.push('early'))
        begun.keep()
        await goOn.promise
        aborted = ctx.signal.aborted
        ctx.defer(() => said.push('late'))
        said.push('behind late')
        ctx.defer(() => {
          throw new Error('too late to undo')
        })
      },
    })
    const next = plugin('next', { start: () => void said.push('next started') })
    const { house, log } = await unstarted(t, [slow, next])
    const starting = house.start({ listen: true })
    await begun.promise
    const stopping = house.stop()
    await stopping
    t.same(said, ['early'])
    goOn.keep()
    await starting
    t.ok(aborted)
    t.same(said, ['early', 'late', 'behind late'], 'and no other plugin was started')
    t.same(await states(house), { slow: 'stopped', next: 'waiting' })
    t.match(
      log.filter(({ err }) => err?.message === 'too late to undo'),
      [{ plugin: 'slow', level: 50 }],
      'that a late undo failed is told',
    )
  },
)

t.test('a start that gives up because it is stopped has not failed', async (t) => {
  const begun = promised()
  const patient = plugin('patient', {
    start(ctx) {
      begun.keep()
      return new Promise<void>((_, reject) =>
        ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)),
      )
    },
  })
  const { house, log } = await unstarted(t, [patient])
  const starting = house.start({ listen: true })
  await begun.promise
  t.same(await house.stop(), [])
  await starting
  t.same(await states(house), { patient: 'stopped' })
  t.same(
    log.filter(({ level }) => level >= 50),
    [],
  )
})

t.test('stopped while plugins prepare: the next is not prepared', async (t) => {
  const begun = promised()
  const goOn = promised()
  const said: string[] = []
  const slow = plugin('slow', {
    async prepare() {
      begun.keep()
      await goOn.promise
    },
    start: () => void said.push('slow started'),
  })
  const next = plugin('next', {
    prepare: () => void said.push('next prepared'),
    start: () => void said.push('next started'),
  })
  const { house } = await unstarted(t, [slow, next])
  const starting = house.start({ listen: true })
  await begun.promise
  const stopping = house.stop()
  goOn.keep()
  await Promise.all([starting, stopping])
  t.same(said, [])
})

t.test('while running plugins drain, no further plugin is started', async (t) => {
  const begun = promised()
  const goOn = promised()
  const drained = promised()
  const said: string[] = []
  const busy = plugin('busy', {
    start: (ctx) =>
      ctx.on('drain', async () => {
        await drained.promise
      }),
  })
  const slow = plugin('slow', {
    async start(ctx) {
      ctx.signal.addEventListener('abort', () => said.push('slow hears of it'))
      begun.keep()
      await goOn.promise
    },
  })
  const next = plugin('next', { start: () => void said.push('next started') })
  const { house } = await unstarted(t, [busy, slow, next])
  const starting = house.start({ listen: true })
  await begun.promise
  const stopping = house.stop()
  t.same(said, ['slow hears of it'])
  goOn.keep()
  await starting
  drained.keep()
  await stopping
  t.same(said, ['slow hears of it'])
})

t.test('a plugin that has failed gets no route by asking late', async (t) => {
  const goOn = promised()
  const asked = promised()
  const late = plugin('late', {
    start(ctx) {
      ctx.http.router.get('/early', (http) => {
        http.body = 'early'
      })
      void goOn.promise.then(() => {
        ctx.http.listener('httpd-port').get('/late', (http) => {
          http.body = 'late'
        })
        asked.keep()
      })
      throw new Error('no further')
    },
  })
  const house = await booted(t, [late, plugin('well')])
  goOn.keep()
  await asked.promise
  const url = await house.url('httpd')
  t.equal((await fetch(`${url}/early`)).status, 404)
  t.equal((await fetch(`${url}/late`)).status, 404)
})
