import { mock } from 'node:test'
import t from 'tap'
import { report, type Story } from '../../../../core/api.js'
import { checkLease } from '../../../../plugins/keyring/public.js'
import {
  ask,
  DeskKeyring,
  inDays,
  laptop,
  leaseOf,
  master,
  ready,
  rogue,
  school,
} from '../../../support/activation/activation-school.js'
import { until } from '../../../support/core/server-process.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

const one = laptop(1)
const stolen = laptop(2)
const bare = laptop(3)
const end = inDays(60)
const changes = [
  { ...ready(one.serial, one.uuid, end), laptop: { uuid: one.uuid, school: 'North' } },
  {
    serial: stolen.serial,
    laptop: { uuid: stolen.uuid },
    theft: { serial: stolen.serial, reason: 'taken from the house of Ana', at: '2026-11-16T08:00:00.000Z' },
  },
  { serial: bare.serial, laptop: {} },
]

const get = async (
  url: string,
  query: string,
): Promise<{ status: number; said: Record<string, unknown> }> => {
  const answer = await fetch(`${url}/client/lease${query}`)
  return { status: answer.status, said: (await answer.json()) as Record<string, unknown> }
}

t.test('the JSON interface gives a lease, or says why there is none', async (t) => {
  const { url } = await school(t, { changes })
  const { status, said } = await get(url, `?serial=${one.serial}`)
  t.equal(status, 200)
  t.match(said, { success: 'OK', lease: /^act01: [^\n]+\n$/ })
  const question = { ...one, at: inDays(0), trusted: [master.public] }
  t.equal(checkLease(String(said.lease), question).verdict, 'valid')
  t.match(await get(url, `?serial=${one.serial.toLowerCase()}`), { said: { success: 'OK' } })
  t.same(await get(url, `?serial=${stolen.serial}`), {
    status: 200,
    said: { success: 'ERR', error: 'STOLEN' },
  })
  const none = await get(url, `?serial=${bare.serial}`)
  t.match(none, {
    status: 200,
    said: { success: 'ERR', error: /no lease: none came ready, and there is no keyring/ },
  })
  for (const query of [
    '',
    '?serial=',
    '?serial=SHC',
    `?serial=${one.serial}&serial=${one.serial}`,
    '?serial[]=x',
  ])
    t.match(await get(url, query), { status: 200, said: { success: 'ERR', error: /\?serial=/ } }, query)
  t.equal((await fetch(`${url}/client/lease`, { method: 'POST' })).status, 405)
})

t.test('status says what it does for laptops, and what it cannot do', async (t) => {
  const modeWith = async (keyring?: DeskKeyring) => {
    const { house } = await school(t, { changes, ...(keyring && { keyring }) })
    const story: Story = await house.house.kernel.hooks.gather(report, {}, undefined)
    return story.activation
  }
  const without = await modeWith()
  t.match(without?.lines[0], /^mode +gives out ready leases only: there is no keyring$/)
  t.match(without?.facts, { laptops: 3, ready: 1, stolen: 1, without: 1 })
  const master = new DeskKeyring()
  t.match((await modeWith(master))?.lines[0], /signs for all laptops whose uuid is known/)
  master.why = 'the clock says 1970'
  t.match(
    (await modeWith(master))?.lines[0],
    /signs nothing now, and gives out ready leases only: the clock says 1970/,
  )
  const delegated = new DeskKeyring()
  delegated.isMaster = false
  t.match((await modeWith(delegated))?.lines[0], /neither a key of leases nor a delegation/)
  delegated.delegate(one.serial, one.uuid, inDays(10))
  const signing = await modeWith(delegated)
  t.match(signing?.lines[0], /signs for 1 laptops/)
  t.match(signing?.facts, { firstDelegation: { laptops: 1 } })
})

t.test('what ends soon is a warning, and holidays that nobody named are none', async (t) => {
  const soon = laptop(4)
  const { house } = await school(t, { changes: [...changes, ready(soon.serial, soon.uuid, inDays(3))] })
  t.match((await house.status()).health, [
    { what: 'leases', problem: /ready leases of 1 laptops, .* within 7 days/ },
  ])
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, one.uuid, inDays(20))
  keyring.delegate(stolen.serial, stolen.uuid, inDays(40))
  const delegated = await school(t, { changes, keyring })
  const { health } = await delegated.house.status()
  t.match(health, [{ what: 'delegations', problem: /1 delegations end within 30 days, the first on 20/ }])
  const late = new DeskKeyring()
  late.isMaster = false
  late.delegate(one.serial, one.uuid, inDays(-1))
  const ended = await school(t, { changes, keyring: late })
  t.match(
    (await ended.house.status()).health,
    [{ problem: /^1 delegations have ended: ask/ }],
    'nor does it go away',
  )
  t.same((await (await school(t, { changes })).house.status()).health, [])
})

t.test('ready leases of keys that are not known are a warning', async (t) => {
  const foreign = laptop(4)
  const { house, port } = await school(t, {
    keyring: new DeskKeyring(),
    changes: [ready(one.serial, one.uuid, end), ready(foreign.serial, foreign.uuid, end, rogue)],
  })
  t.match((await ask(port, foreign.serial)).text, /^act01: /, 'it is not locked for our lack of a key')
  t.match((await house.status()).health, [
    { what: 'keys', problem: /^the ready leases of 1 laptops are of keys that the keyring does not know, / },
  ])
})

t.test('ready leases that are known to be bad are counted in status, and explained', async (t) => {
  const line = leaseOf(one.serial, laptop(9).uuid, end)
  const stock = { serial: one.serial, sig01: { line, until: end } }
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  const { house } = await school(t, {
    keyring,
    changes: [{ serial: one.serial, stock, laptop: { uuid: one.uuid } }],
  })
  const { activation } = await house.house.kernel.hooks.gather(report, {} as Story, undefined)
  t.match(activation?.facts, { withheld: 1, ready: 0, without: 1 })
  t.match(activation?.lines.join('\n'), /^withheld +1 laptops .*explain SERIAL/m)
  const told = (await house.house.explain(one.serial)).activation?.lines.join('\n')
  t.match(told, /would get nothing: no lease: the ready one was changed, or is for another uuid/)
})

t.test('a key that is compromised stays so after a restart', async (t) => {
  const root = await temporaryDirectory(t)
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  const first = await school(t, { root, keyring, changes: [ready(one.serial, one.uuid, end)] })
  t.match((await ask(first.port, one.serial)).text, /^act01: /)
  await first.house.dispose()
  keyring.compromise(master.public)
  const second = await school(t, { root, keyring })
  t.equal((await ask(second.port, one.serial)).text, '')
  await second.house.dispose()
  const without = await school(t, { root })
  t.match((await ask(without.port, one.serial)).text, /^act01: /, 'without a keyring nobody says so')
})

t.test(
  'the story of one laptop says what it would get and what it last got, and holds no uuid',
  async (t) => {
    const { house, port } = await school(t, { changes, keyring: new DeskKeyring() })
    const story = async (serial: string) => (await house.house.explain(serial)).activation
    t.match(
      (await story(one.serial))?.lines.join('\n'),
      /North, leases of 21 days\n.*a lease until .*ready one.*\n.*never/,
    )
    await ask(port, one.serial)
    await ask(port, stolen.serial)
    t.match(
      (await story(one.serial.toLowerCase()))?.lines.join('\n'),
      /1 times in all; it got a lease until 20/,
    )
    t.match(
      (await story(stolen.serial))?.lines.join('\n'),
      /STOLEN.*\n.*it got the word STOLEN\n.*the house of Ana/,
    )
    t.match((await story(bare.serial))?.lines.join('\n'), /it would get nothing: .*no uuid of it is known/)
    t.equal(await story('nobody'), undefined)
    t.equal(await story(one.uuid), undefined)
    for (const { serial, uuid } of [one, stolen]) t.notMatch(JSON.stringify(await story(serial)), uuid)
  },
)

t.test('when laptops asked is known after a restart, and a flood of serials is not kept', async (t) => {
  const root = await temporaryDirectory(t)
  const first = await school(t, { changes, root })
  for (let count = 0; count < 3; count += 1) await ask(first.port, one.serial)
  await ask(first.port, stolen.serial)
  await ask(first.port, bare.serial)
  await Promise.all(Array.from({ length: 300 }, (_, index) => ask(first.port, laptop(1000 + index).serial)))
  await first.house.dispose()
  const { house } = await school(t, { root })
  const { out } = await house.command(['activation', 'list'], { json: true })
  const rows = JSON.parse(out) as {
    serial: string
    visit: { count: number; answer: string; until?: string } | null
  }[]
  t.match(
    rows.map(({ serial, visit }) => ({ serial, ...visit })),
    [
      { serial: one.serial, count: 3, answer: 'lease', until: end },
      { serial: stolen.serial, count: 1, answer: 'stolen' },
      { serial: bare.serial, count: 1, answer: 'nothing' },
    ],
  )
  t.equal(rows.length, 3)
})

t.test('list, set and group: who has which lease, and for how long', async (t) => {
  const { house } = await school(t, { changes })
  const run = (command: string, call: object) => house.command(['activation', command], call)
  const table = await run('list', {})
  t.match(table.out, /^SERIAL .*NOTES/)
  t.match(table.out, new RegExp(`${stolen.serial}.* stolen`))
  t.match(table.out, new RegExp(`${bare.serial}.* no uuid`))
  t.notMatch((await run('list', { json: true })).out, one.uuid)

  t.match(
    (await run('group', { args: { name: 'North' }, options: { days: '40' } })).out,
    /North: leases of 40 days, 1 laptops/,
  )
  t.match(
    (await run('set', { args: { serial: one.serial }, options: { group: 'A', old: 'yes' } })).out,
    /group A, leases of 40 days, with sig01 only/,
  )
  t.match(
    (await run('set', { args: { serial: one.serial.toLowerCase() }, options: { days: '7' } })).out,
    /leases of 7 days, with sig01/,
  )
  t.match(
    (await run('set', { args: { serial: one.serial }, options: { days: '0', group: 'none', old: 'no' } }))
      .out,
    /in no group, leases of 40 days\n/,
  )
  t.match(
    (await run('group', { args: { name: 'North' }, options: { days: '0' } })).out,
    /no number of its own/,
  )
  const leased = await school(t, { changes: [ready(one.serial, one.uuid, end)] })
  const old = await leased.house.command(['activation', 'set'], {
    args: { serial: one.serial },
    options: { old: 'yes' },
  })
  t.match(old.out, /with sig01 only/, 'a laptop of which no list but only a lease came is known, too')
  const refused: [string, object, RegExp][] = [
    ['set', { args: { serial: one.serial } }, /nothing is to be set/],
    ['set', { args: { serial: 'SHC' }, options: { days: '3' } }, /is no serial/],
    [
      'set',
      { args: { serial: laptop(99).serial }, options: { days: '3' } },
      /no laptop SHC00000063 is known/,
    ],
    ['set', { args: { serial: one.serial }, options: { days: '3651' } }, /from 0 to 3650/],
    ['set', { args: { serial: one.serial }, options: { old: 'maybe' } }, /yes or no/],
    ['group', { args: { name: 'North' } }, /nothing is to be set/],
    ['group', { args: { name: 'none' }, options: { days: '3' } }, /cannot be the name of a group/],
    ['group', { args: { name: 'South' }, options: { days: '0' } }, /there is no group South/],
  ]
  for (const [command, call, says] of refused) {
    const { ended } = await run(command, call)
    t.not(ended.exit, 0)
    t.match(JSON.stringify(ended), says)
  }
})

t.test('a laptop whose visit is under way when the server stops is still noted', async (t) => {
  const root = await temporaryDirectory(t)
  const keyring = new DeskKeyring()
  let sign: (() => void) | undefined
  keyring.before = () =>
    new Promise((resolve) => {
      sign = resolve
    })
  const first = await school(t, {
    changes: [{ serial: bare.serial, laptop: { uuid: bare.uuid } }],
    keyring,
    root,
  })
  const waiting = ask(first.port, bare.serial)
  await until(() => sign !== undefined, 'the keyring to be asked')
  const stopping = first.house.dispose()
  setTimeout(() => sign?.(), 100)
  t.match((await waiting).text, /^act01: /)
  await stopping
  const { house } = await school(t, { root })
  t.match((await house.command(['activation', 'list'], { json: true })).out, /"answer": ?"lease"/)
})

t.test('what a laptop got is there after a restart, and nobody is told the lease', async (t) => {
  const root = await temporaryDirectory(t)
  const keyring = new DeskKeyring()
  const listed = [{ serial: one.serial, laptop: { uuid: one.uuid } }]
  const first = await school(t, { root, keyring, changes: listed })
  const { text } = await ask(first.port, one.serial)
  t.match(text, /^act01: /)
  await first.house.dispose()
  keyring.why = 'the clock says 1970'
  const { house, port } = await school(t, { root, keyring })
  t.equal((await ask(port, one.serial)).text, text)
  const told = [
    (await house.command(['activation', 'list'], { json: true })).out,
    (await house.command(['activation', 'export'], { args: { what: 'activity' } })).out,
    JSON.stringify(await house.house.explain(one.serial)),
  ]
  t.match(told[2], /signed here before; that lasts as long as one signed here would/)
  for (const one of told) t.notMatch(one, 'act01')
})

t.test('a laptop with two uuids is told in status and explained, and neither is said', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  const laptops = Array.from({ length: 23 }, (_, number) => laptop(number))
  for (const { serial, uuid } of laptops) keyring.delegate(serial, uuid.toLowerCase(), inDays(90))
  const { house } = await school(t, {
    keyring,
    changes: laptops.map(({ serial, uuid }) => ({ serial, laptop: { uuid } })),
  })
  const { health } = await house.status()
  t.match(health, [
    {
      what: 'uuids',
      problem:
        /^23 laptops have one uuid in your list and another in their delegation: SHC00000000, .*SHC00000013 and 3 more; .*explain/,
    },
  ])
  t.notMatch(JSON.stringify(health), /SHC00000014/)
  const story = (await house.house.explain(one.serial)).activation
  t.match(story?.lines.join('\n'), /^uuid +your list has another than its delegation/m)
  t.notMatch(JSON.stringify([health, story]), /8bf9ac40/i)
})

t.test('status says that the clock cannot be right, where no keyring does', async (t) => {
  const root = await temporaryDirectory(t)
  const first = await school(t, { root, changes: [ready(one.serial, one.uuid, end)] })
  await ask(first.port, one.serial)
  await first.house.dispose()
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 10 * 366 * 86_400_000 })
  t.teardown(() => mock.timers.reset())
  const { house, port } = await school(t, { root })
  t.match((await ask(port, one.serial)).text, /^act01: /, 'the laptop goes by its own clock')
  t.match((await house.status()).health, [
    { what: 'clock', problem: /more than a year after a laptop last asked/ },
  ])
  mock.timers.reset()
  t.same((await house.status()).health, [])
})
