import t from 'tap'
import { ask, inDays, laptop, ready, school } from '../../support/activation/activation-school.js'
import { listed, run } from '../../support/activation/import-files.js'

const [one, two] = [laptop(1), laptop(2)]

t.test(
  'a stolen laptop is told so from the moment it is said, and gets leases again when it is back',
  async (t) => {
    const { house, port } = await school(t, { changes: [ready(one.serial, one.uuid, inDays(9))] })
    t.match((await ask(port, one.serial)).text, /^act01: /)
    t.match(
      await run(
        house,
        'stolen',
        { what: 'add', serial: one.serial.toLowerCase() },
        { options: { reason: 'at the bus stop' } },
      ),
      {
        exit: 0,
        out: `${one.serial} is stolen: it gets no lease, and is told STOLEN\n`,
      },
    )
    t.equal((await ask(port, one.serial)).text, 'STOLEN')
    t.match(await run(house, 'stolen', { what: 'remove', serial: one.serial }), { exit: 0, out: /is back/ })
    t.match((await ask(port, one.serial)).text, /^act01: /)
  },
)

t.test('the list has who is stolen, since when and why, and nobody who is back', async (t) => {
  const { house } = await school(t)
  const { at } = { at: Date.now() }
  await run(house, 'stolen', { what: 'add', serial: two.serial }, { options: { reason: 'first' } })
  await run(house, 'stolen', { what: 'add', serial: one.serial })
  await run(house, 'stolen', { what: 'add', serial: laptop(3).serial })
  await run(house, 'stolen', { what: 'remove', serial: laptop(3).serial })
  const rows = JSON.parse((await run(house, 'stolen', { what: 'list' }, { json: true })).out) as {
    at: string
  }[]
  t.match(rows, [
    { serial: one.serial, reason: '' },
    { serial: two.serial, reason: 'first' },
  ])
  t.equal(rows.length, 2)
  for (const row of rows) t.ok(Math.abs(Date.parse(row.at) - at) < 60_000)
  t.match(
    (await run(house, 'stolen', { what: 'list' })).out,
    new RegExp(`^SERIAL +SINCE +REASON\n${one.serial} +20..-..-..\n`),
  )
})

t.test('a laptop that was on no list can be stolen', async (t) => {
  const { house, port } = await school(t)
  t.equal((await ask(port, one.serial)).text, '')
  await run(house, 'stolen', { what: 'add', serial: one.serial })
  t.equal((await ask(port, one.serial)).text, 'STOLEN')
  t.equal((await listed(house)).get(one.serial)?.stolen, true)
})

t.test('saying it twice changes nothing but the reason, and what was back can be stolen again', async (t) => {
  const { house } = await school(t)
  const add = (reason = '') =>
    run(house, 'stolen', { what: 'add', serial: one.serial }, { options: { reason } })
  const theft = async () => JSON.parse((await run(house, 'stolen', { what: 'list' }, { json: true })).out)[0]
  await add('first')
  const { at } = await theft()
  t.match(await add(), { exit: 0, out: `${one.serial} is on the list already, since ${at.slice(0, 10)}\n` })
  t.match(await theft(), { reason: 'first', at })
  t.match(await add('second'), { out: `${one.serial}: the reason is written down\n` })
  t.match(await theft(), { reason: 'second', at })
  await run(house, 'stolen', { what: 'remove', serial: one.serial })
  t.equal(await theft(), undefined)
  t.match(await add('again'), { out: /is stolen/ })
  t.match(await theft(), { reason: 'again' })
})

t.test('several who say it at once are heard one after the other', async (t) => {
  const { house } = await school(t)
  const said = await Promise.all(
    Array.from({ length: 5 }, () => run(house, 'stolen', { what: 'add', serial: one.serial })),
  )
  t.equal(said.filter(({ out }) => /is stolen/.test(out)).length, 1)
  t.equal(said.filter(({ out }) => /already/.test(out)).length, 4)
})

t.test('what cannot be meant is refused with words', async (t) => {
  const { house } = await school(t)
  const refused = async (args: Record<string, string>, reason = '') => {
    const { exit, err } = await run(house, 'stolen', args, { options: { reason } })
    return `${exit}: ${err}`
  }
  t.match(await refused({ what: 'lost', serial: one.serial }), /^64: "lost" is none of add, remove and list/)
  t.match(await refused({ what: 'add' }), /^64: the serial of the laptop is missing/)
  t.match(await refused({ what: 'add', serial: 'owl' }), /^64: "owl" is no serial/)
  t.match(
    await refused({ what: 'add', serial: one.serial }, 'x'.repeat(501)),
    /^64: --reason has 501 characters/,
  )
  t.match(await refused({ what: 'remove', serial: one.serial }), /^66: SHC00000001 is not on the list/)
  t.match(await refused({ what: 'remove', serial: one.serial }, 'x'), /^64: --reason/)
  t.match(await refused({ what: 'list', serial: one.serial }), /^64: stolen list takes no serial/)
  await run(house, 'stolen', { what: 'add', serial: one.serial })
  await run(house, 'stolen', { what: 'remove', serial: one.serial })
  t.match(await refused({ what: 'remove', serial: one.serial }), /^66: /, 'nor a second time')
})
