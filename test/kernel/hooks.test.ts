import t from 'tap'
import {
  type Fold,
  fold,
  type Gate,
  gate,
  type News,
  news,
  PluginError,
  RequestError,
} from '../../core/api.js'
import { Hooks } from '../../core/kernel/hooks.js'
import { booted, plugin, promised, unstarted } from '../support/core/boot-plugins.js'

interface Card {
  name?: string
  server?: string
  backup?: string
}

/** Hooks of one kernel, with what their taps' failures were told to. */
function hooksOf() {
  const told: string[] = []
  const hooks = new Hooks((plugin, hook, { message }) => told.push(`${plugin} ${hook}: ${message}`))
  return { hooks, told }
}

// Deadlines that are meant to pass, and such that are not, on a machine that is busy.
const soon = { seconds: 0.02 }
const never = () => new Promise<never>(() => undefined)

t.test('gate', async (t) => {
  const admit: Gate<{ uid: string }> = gate('id/admit@1')

  t.test('asks one tap after the other, by order and then as they came', async (t) => {
    const { hooks } = hooksOf()
    const said: string[] = []
    const tap = (name: string, order?: number) =>
      hooks.tap(
        admit,
        name,
        async () => {
          said.push(`${name} begins`)
          await new Promise(setImmediate)
          said.push(`${name} ends`)
        },
        order === undefined ? {} : { order },
      )
    tap('late', 10)
    tap('usual')
    tap('second')
    tap('early', -1)
    await hooks.ask(admit, { uid: 'a' })
    t.same(
      said,
      ['early', 'usual', 'second', 'late'].flatMap((name) => [`${name} begins`, `${name} ends`]),
    )
  })

  t.test('opens when nobody is there', async () => {
    await hooksOf().hooks.ask(admit, { uid: 'a' })
  })

  t.test('hands the very refusal to whoever asks, and asks nobody further', async (t) => {
    const { hooks } = hooksOf()
    const refusal = new RequestError('REFUSED', 'not on Sundays')
    let further = false
    hooks.tap(admit, 'sunday', ({ uid }) => {
      if (uid === 'a') throw refusal
    })
    hooks.tap(admit, 'next', () => {
      further = true
    })
    const refused = hooks.ask(admit, { uid: 'a' })
    await t.rejects(refused, { code: 'REFUSED' })
    t.equal(await refused.catch((error: unknown) => error), refusal)
    t.notOk(further)
    await hooks.ask(admit, { uid: 'b' })
    t.ok(further, 'the next question is another one')
  })

  t.test('stays shut when a tap breaks, and says whose it was', async (t) => {
    const { hooks } = hooksOf()
    hooks.tap(admit, 'clumsy', () => (undefined as unknown as { length: number }).length as never)
    const refused = await hooks.ask(admit, { uid: 'a' }).catch((error: unknown) => error)
    t.type(refused, PluginError)
    t.match(refused, {
      code: 'INTERNAL',
      plugin: 'clumsy',
      message: /^clumsy failed in id\/admit@1: /,
      cause: TypeError,
    })
  })

  t.test('stays shut when a tap does not answer in time', async (t) => {
    const { hooks } = hooksOf()
    const quick: Gate<string> = gate('id/quick@1', soon)
    hooks.tap(quick, 'sleepy', never)
    await t.rejects(hooks.ask(quick, ''), {
      code: 'HOOK_TIMEOUT',
      status: 503,
      plugin: 'sleepy',
      message: 'sleepy did not answer id/quick@1 within 0.02 s',
    })
  })

  t.test('passes over a tap that was undone', async () => {
    const { hooks } = hooksOf()
    const undo = hooks.tap(admit, 'gone', () => {
      throw new RequestError('REFUSED', 'never')
    })
    undo()
    await hooks.ask(admit, { uid: 'a' })
  })
})

t.test('fold', async (t) => {
  const enrol: Fold<Card, { uid: string }> = fold('id/enrol@1')

  t.test('adds up what each tap says, and shows each what is there already', async (t) => {
    const { hooks, told } = hooksOf()
    const seen: Card[] = []
    hooks.tap(
      enrol,
      'backup',
      async (card, { uid }) => {
        seen.push({ ...card })
        await new Promise(setImmediate)
        return { backup: `/backup/${uid}` }
      },
      { order: 1 },
    )
    hooks.tap(enrol, 'presence', (card) => {
      seen.push({ ...card })
      return { server: 'jabber' }
    })
    hooks.tap(enrol, 'silent', () => undefined)
    const start: Card = { name: 'Ana' }
    t.same(await hooks.gather(enrol, start, { uid: 'a' }), {
      name: 'Ana',
      server: 'jabber',
      backup: '/backup/a',
    })
    t.same(seen, [{ name: 'Ana' }, { name: 'Ana', server: 'jabber' }])
    t.same(start, { name: 'Ana' }, "the asker's own object stays as it was")
    t.same(told, [])
  })

  t.test('is the answer itself when nobody is there', async (t) => {
    t.same(await hooksOf().hooks.gather(enrol, { name: 'Ana' }, { uid: 'a' }), { name: 'Ana' })
  })

  t.test('keeps what is there: who says it again is reported', async (t) => {
    const { hooks, told } = hooksOf()
    hooks.tap(enrol, 'first', () => ({ server: 'first' }))
    hooks.tap(enrol, 'second', () => ({ server: 'second', backup: 'second', name: 'Eva' }))
    t.same(await hooks.gather(enrol, { name: 'Ana' }, { uid: 'a' }), {
      name: 'Ana',
      server: 'first',
      backup: 'second',
    })
    t.same(told, [
      'second id/enrol@1: "server" is in the answer already',
      'second id/enrol@1: "name" is in the answer already',
    ])
  })

  t.test('lets no tap change the answer behind its back', async (t) => {
    const { hooks, told } = hooksOf()
    hooks.tap(enrol, 'meddler', (card) => {
      ;(card as Card).name = 'Eva'
      return { backup: 'meddled' }
    })
    hooks.tap(enrol, 'honest', () => ({ server: 'jabber' }))
    t.same(await hooks.gather(enrol, { name: 'Ana' }, { uid: 'a' }), { name: 'Ana', server: 'jabber' })
    t.match(told, [/^meddler id\/enrol@1: /])
  })

  t.test('takes __proto__ for a word like any other', async (t) => {
    const { hooks } = hooksOf()
    hooks.tap(enrol, 'odd', () => JSON.parse('{ "__proto__": { "server": "evil" } }'))
    const card = await hooks.gather(enrol, { name: 'Ana' }, { uid: 'a' })
    t.equal(card.server, undefined)
    t.same(Object.keys(card), ['name', '__proto__'])
  })

  t.test('goes on without a tap that breaks or is late, and reports both', async (t) => {
    const { hooks, told } = hooksOf()
    const quick: Fold<Card, string> = fold('id/quick@1', { seconds: 0.05 })
    const answered = promised<Card>()
    hooks.tap(quick, 'clumsy', () => {
      throw new Error('oh')
    })
    hooks.tap(quick, 'refusing', async () => {
      throw new RequestError('REFUSED', 'not for you')
    })
    hooks.tap(quick, 'sleepy', () => answered.promise)
    hooks.tap(quick, 'awake', () => ({ server: 'jabber' }))
    const card = await hooks.gather(quick, { name: 'Ana' }, '')
    t.same(card, { name: 'Ana', server: 'jabber' })
    t.same(told, [
      'clumsy id/quick@1: clumsy failed in id/quick@1: oh',
      'refusing id/quick@1: not for you',
      'sleepy id/quick@1: sleepy did not answer id/quick@1 within 0.05 s',
    ])
    answered.keep({ backup: 'late' })
    await new Promise(setImmediate)
    t.same(card, { name: 'Ana', server: 'jabber' }, 'a late answer changes nothing')
    t.equal(told.length, 3)
  })

  t.test('merges objects, so that several taps can fill one; what is in it stays', async (t) => {
    const { hooks, told } = hooksOf()
    const config: Fold<{ config?: Record<string, string> }, string> = fold('id/config@1')
    hooks.tap(config, 'one', () => ({ config: { a: '1', b: '1' } }))
    hooks.tap(config, 'two', () => ({ config: { b: '2', c: '2', ['__proto__']: '2' } }))
    t.same(await hooks.gather(config, {}, ''), { config: { a: '1', b: '1', c: '2', ['__proto__']: '2' } })
    t.same(told, ['two id/config@1: "config.b" is in the answer already'])
  })

  t.test('fails as a whole where a tap fails whose part is required', async (t) => {
    const { hooks, told } = hooksOf()
    const enrolment: Fold<Card, string> = fold('id/enrolment@1')
    let broken = true
    hooks.tap(
      enrolment,
      'backup',
      () => {
        if (broken) throw new Error('no disk')
        return { backup: '/backup' }
      },
      { required: true },
    )
    hooks.tap(enrolment, 'presence', () => ({ server: 'jabber' }))
    await t.rejects(hooks.gather(enrolment, {}, ''), { code: 'INTERNAL', plugin: 'backup' })
    t.equal(told.length, 1, 'and is told of')
    broken = false
    t.same(await hooks.gather(enrolment, {}, ''), { backup: '/backup', server: 'jabber' })
  })

  t.test('does not add up: taps that are stuck share twice the time of one', async (t) => {
    const { hooks, told } = hooksOf()
    const slow: Fold<Card, string> = fold('id/slow@1', { seconds: 1 })
    for (let n = 0; n < 20; n += 1) hooks.tap(slow, `stuck${n}`, never)
    hooks.tap(slow, 'awake', () => ({ server: 'jabber' }))
    const began = performance.now()
    t.same(await hooks.gather(slow, {}, ''), { server: 'jabber' }, 'one that answers at once still does')
    t.ok(performance.now() - began < 10_000, 'nobody waited for twenty times a second')
    t.equal(told.length, 20)
  })

  t.test('waits for whatever has a then, and under the same deadline', async (t) => {
    const { hooks, told } = hooksOf()
    const quick: Fold<Card, string> = fold('id/quick@1', soon)
    const thenable = (value: Card) => ({
      // biome-ignore lint/suspicious/noThenProperty: query builders are made like this.
      then: (resolve: (value: Card) => void) => void setImmediate(resolve, value),
    })
    const hanging = {
      // biome-ignore lint/suspicious/noThenProperty: as above.
      then: () => undefined,
    }
    hooks.tap(quick, 'hanging', () => hanging as never)
    hooks.tap(enrol, 'builder', () => thenable({ server: 'jabber' }) as never)
    t.same(await hooks.gather(enrol, {}, { uid: 'a' }), { server: 'jabber' })
    t.same(await hooks.gather(quick, {}, ''), {})
    t.match(told, [/^hanging id\/quick@1: hanging did not answer/])
  })

  t.test('passes over a tap that was undone', async (t) => {
    const { hooks } = hooksOf()
    const undo = hooks.tap(enrol, 'gone', () => ({ server: 'gone' }))
    hooks.tap(enrol, 'here', () => ({ backup: 'here' }))
    undo()
    t.same(await hooks.gather(enrol, {}, { uid: 'a' }), { backup: 'here' })
  })
})

t.test('news', async (t) => {
  // The deadline of news keeps no process alive, and here there is nothing else that would.
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => clearInterval(alive))

  const registered: News<string> = news('id/registered@1')

  t.test('is not waited for, reaches everybody at once, and settled() waits for all of it', async (t) => {
    const { hooks } = hooksOf()
    const said: string[] = []
    const doors = [promised(), promised()]
    for (const [index, door] of doors.entries()) {
      hooks.tap(registered, `tap-${index}`, async (who) => {
        said.push(`${index} hears of ${who}`)
        await door.promise
        said.push(`${index} is done`)
      })
    }
    hooks.tell(registered, 'Ana')
    await new Promise(setImmediate)
    t.same(said, ['0 hears of Ana', '1 hears of Ana'])
    let settled = false
    const settling = hooks.settled().then(() => {
      settled = true
    })
    doors[1]?.keep()
    await new Promise(setImmediate)
    t.notOk(settled)
    doors[0]?.keep()
    await settling
    t.same(said.slice(2), ['1 is done', '0 is done'])
    await hooks.settled()
  })

  t.test('settled() waits for news that came of news', async (t) => {
    const { hooks } = hooksOf()
    const counted: News<number> = news('id/counted@1')
    let done = false
    hooks.tap(registered, 'counter', async () => {
      await new Promise(setImmediate)
      hooks.tell(counted, 1)
    })
    hooks.tap(counted, 'slow', async () => {
      for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate)
      done = true
    })
    hooks.tell(registered, 'Ana')
    await hooks.settled()
    t.ok(done)
  })

  t.test('never fails the teller: the report says whose tap failed, the others hear it', async (t) => {
    const { hooks, told } = hooksOf()
    const quick: News<string> = news('id/quick@1', soon)
    const heard: string[] = []
    hooks.tap(quick, 'clumsy', () => {
      throw new Error('at once')
    })
    hooks.tap(quick, 'rejecting', async () => {
      throw new Error('later')
    })
    hooks.tap(quick, 'sleepy', never)
    hooks.tap(quick, 'well', (who) => {
      heard.push(who)
    })
    hooks.tell(quick, 'Ana')
    await hooks.settled()
    t.same(heard, ['Ana'])
    t.same(told.sort(), [
      'clumsy id/quick@1: clumsy failed in id/quick@1: at once',
      'rejecting id/quick@1: rejecting failed in id/quick@1: later',
      'sleepy id/quick@1: sleepy did not answer id/quick@1 within 0.02 s',
    ])
  })

  t.test('passes over a tap that was undone, and nobody need listen', async (t) => {
    const { hooks } = hooksOf()
    hooks.tell(registered, 'nobody')
    let heard = 0
    const undo = hooks.tap(registered, 'gone', () => {
      heard += 1
    })
    hooks.tell(registered, 'Ana')
    undo()
    hooks.tell(registered, 'Eva')
    await hooks.settled()
    t.equal(heard, 1)
  })
})

t.test('a hook is known by its id: two copies of a contract mean the same', async (t) => {
  const { hooks } = hooksOf()
  hooks.tap(fold<Card, string>('id/enrol@1'), 'one', () => ({ server: 'jabber' }))
  t.same(await hooks.gather(fold<Card, string>('id/enrol@1'), {}, ''), { server: 'jabber' })
  t.same(await hooks.gather(fold<Card, string>('id/enrol@2'), {}, ''), {})
})

t.test('hooks belong to their kernel: a second house hears nothing of the first', async (t) => {
  const registered: News<string> = news('id/registered@1')
  const heard: string[] = []
  const listening = (name: string) =>
    plugin(name, { start: (ctx) => ctx.tap(registered, (who) => void heard.push(`${name}: ${who}`)) })
  const first = await booted(t, [listening('first')])
  await booted(t, [listening('second')])
  first.house.kernel.hooks.tell(registered, 'Ana')
  await first.house.kernel.hooks.settled()
  t.same(heard, ['first: Ana'])
})

t.test('plugins meet in hooks by their context, and a tap dies with its plugin', async (t) => {
  const admit: Gate<string> = gate('teller/admit@1')
  const enrol: Fold<Card, string> = fold('teller/enrol@1')
  const registered: News<string> = news('teller/registered@1')
  const heard: string[] = []
  const teller = plugin('teller', {
    start(ctx) {
      ctx.http.router.get('/register/:name', async (http) => {
        const name = String(http.params.name)
        await ctx.ask(admit, name)
        http.body = await ctx.gather(enrol, { name }, name)
        ctx.tell(registered, name)
      })
    },
  })
  const guard = plugin('guard', {
    start(ctx) {
      ctx.tap(admit, (name) => {
        if (name === 'Eva') throw new RequestError('REFUSED', 'Eva has a laptop already')
        if (name === 'Bug') throw new Error('secret of the house')
      })
      ctx.tap(enrol, () => ({ server: 'guarded' }))
      ctx.tap(registered, (name) => void heard.push(name))
      ctx.tap(registered, () => {
        throw new Error('deaf')
      })
    },
  })
  const { house, log } = await unstarted(t, [teller, guard])
  await house.start({ listen: true })
  const { listeners } = await house.status()
  const register = async (name: string) => {
    const answer = await fetch(`http://127.0.0.1:${listeners[0]?.port}/register/${name}`)
    return { status: answer.status, body: await answer.json() }
  }
  t.same(await register('Ana'), { status: 200, body: { name: 'Ana', server: 'guarded' } })
  t.same(await register('Eva'), {
    status: 403,
    body: { success: 'ERR', error: 'Eva has a laptop already' },
  })
  t.match(await register('Bug'), { status: 500, body: { error: /^internal error, reference \w+$/ } })
  await house.kernel.hooks.settled()
  t.same(heard, ['Ana'])
  t.match(
    log.filter(({ plugin, level }) => plugin === 'guard' && level === 50),
    [{ msg: 'a tap of teller/registered@1 failed: guard failed in teller/registered@1: deaf' }],
  )
  const member = house.kernel.members.find(({ name }) => name === 'guard')
  if (member !== undefined) await house.kernel.fail(member, new Error('taken out'))
  t.same(await register('Eva'), { status: 200, body: { name: 'Eva' } })
  await house.kernel.hooks.settled()
  t.same(heard, ['Ana'])
})
