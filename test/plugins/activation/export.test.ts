import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import t from 'tap'
import type { Change } from '../../../plugins/activation/roll/change.js'
import { checkLease, parseBundle, parseLease } from '../../../plugins/keyring/public.js'
import {
  ask,
  DeskKeyring,
  inDays,
  laptop,
  leaseOf,
  master,
  ready,
  school,
} from '../../support/activation/activation-school.js'
import { bring, run } from '../../support/activation/import-files.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const [one, two, three, four] = [laptop(1), laptop(2), laptop(3), laptop(4)]
const theft = { serial: three.serial, reason: 'gone', at: new Date().toISOString() }
const changes: readonly Change[] = [
  { ...ready(two.serial, two.uuid, inDays(30)), laptop: { uuid: two.uuid } },
  { ...ready(three.serial, three.uuid, inDays(30)), laptop: { uuid: three.uuid }, theft },
  { serial: one.serial, laptop: { uuid: one.uuid } },
  { serial: four.serial, laptop: {} },
]
const isGood = (line: string, { serial, uuid }: { serial: string; uuid: string }, at = inDays(0)): boolean =>
  checkLease(line, { serial, uuid, at, trusted: [master.public] }).verdict === 'valid'

t.test('an unlocker stick has a line for each laptop, of one day, and none for a stolen one', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring(), changes })
  const { exit, out, err } = await run(house, 'export', { what: 'leases' })
  t.equal(exit, 0)
  const lines = out.split('\n')
  t.equal(lines.pop(), '', 'the last line ends, too')
  t.strictSame(
    lines.map((line) => parseLease(line).serial),
    [one.serial, two.serial],
    'sorted, nothing in between',
  )
  t.ok(isGood(lines[0] ?? '', one))
  t.ok(isGood(lines[1] ?? '', two))
  t.notOk(isGood(lines[0] ?? '', one, inDays(1.1)), 'for a day')
  t.match(err, `left out: ${three.serial}: it is stolen\n`)
  t.match(err, new RegExp(`left out: ${four.serial}: .*no uuid of it is known`))
  const week =
    (await run(house, 'export', { what: 'leases' }, { options: { days: '7' } })).out.split('\n')[0] ?? ''
  t.ok(isGood(week, one, inDays(6.9)))
  t.notOk(isGood(week, one, inDays(7.1)))
})

t.test('a laptop that is said to be stolen while others are signed for is not on the stick', async (t) => {
  const keyring = new DeskKeyring()
  const { house } = await school(t, {
    keyring,
    changes: Array.from({ length: 40 }, (_, n) => laptop(n)).map(({ serial, uuid }) => ({
      serial,
      laptop: { uuid },
    })),
  })
  keyring.before = async () => {
    if (keyring.signed.length === 32) await run(house, 'stolen', { what: 'add', serial: one.serial })
  }
  const { out, err } = await run(house, 'export', { what: 'leases' })
  t.notMatch(out, one.serial)
  t.match(err, `left out: ${one.serial}: it is stolen`)
  t.match(err + out, laptop(39).serial)
})

t.test('without a keyring the stick has the leases that came ready', async (t) => {
  const { house } = await school(t, { changes })
  const { out, err } = await run(house, 'export', { what: 'leases' })
  t.equal(out, `${changes[0]?.stock?.sig01?.line}\n`)
  t.match(err, new RegExp(`left out: ${one.serial}: `))
  t.match(err, '1 of them were there already, and last as long as they were made for')
})

t.test(
  'chosen laptops alone are on the stick, and one that nobody knows is an error that names it',
  async (t) => {
    const { house } = await school(t, { keyring: new DeskKeyring(), changes })
    const chosen = (laptops: string) => run(house, 'export', { what: 'leases' }, { options: { laptops } })
    const both = await chosen(`${two.serial.toLowerCase()}, ${one.serial},${one.serial}`)
    t.equal(both.exit, 0)
    t.equal(both.out.trimEnd().split('\n').length, 2)
    t.match(await chosen(`${one.serial},${laptop(77).serial}`), {
      exit: 66,
      out: '',
      err: `no laptop ${laptop(77).serial} is known`,
    })
    t.match(await chosen('owl'), { exit: 66, out: '', err: 'no laptop owl is known' })
    t.match(await chosen(`${one.serial},${three.serial}`), {
      exit: 65,
      err: `left out: ${three.serial}: it is stolen`,
    })
    t.match(await chosen(three.serial), { exit: 66, out: '', err: 'there is no lease to write' })
  },
)

t.test('a laptop that only a delegation names is known, too', async (t) => {
  const keyring = new DeskKeyring()
  keyring.isMaster = false
  keyring.delegate(one.serial, one.uuid, inDays(100))
  const { house } = await school(t, { keyring })
  const { exit, out } = await run(house, 'export', { what: 'leases' }, { options: { laptops: one.serial } })
  t.equal(exit, 0)
  t.match(out, /^act01: \S+ K \S+ sig02: [^\n]+\n$/)
  t.ok(isGood(out, one))
})

t.test('a bundle is what laptops read, and is imported again', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring(), changes })
  const { out } = await run(house, 'export', { what: 'leases' }, { options: { bundle: 'yes' } })
  const leases = parseBundle(out)
  t.strictSame([...leases.keys()], [one.serial, two.serial])
  t.ok(isGood((leases.get(one.serial) ?? '').trimEnd(), one))
  t.match(await bring(house, { 'lease.sig': out }), { exit: 0, out: /^lease\.sig: 1 taken, 1 unchanged/ })
})

t.test('a file is written by whoever asked, whole, and over nothing', async (t) => {
  const { house } = await school(t, { keyring: new DeskKeyring(), changes })
  const to = join(await temporaryDirectory(t), 'lease.sig')
  const say = (what: string) => run(house, 'export', { what }, { options: { to } })
  t.match(await say('leases'), { exit: 0, out: `${to}: 2 leases\n` })
  t.match(await readFile(to, 'latin1'), /^act01: [^\n]+\nact01: [^\n]+\n$/)
  t.match(await say('stolen'), { err: `${to} is there already` })
  const empty = await school(t)
  const nowhere = join(await temporaryDirectory(t), 'lease.sig')
  t.match(await run(empty.house, 'export', { what: 'leases' }, { options: { to: nowhere } }), { exit: 66 })
  t.notOk(existsSync(nowhere), 'no file without a lease in it')
})

t.test('the list of stolen laptops is imported again as it is', async (t) => {
  const { house } = await school(t, { changes })
  await run(house, 'stolen', { what: 'add', serial: one.serial })
  await run(house, 'stolen', { what: 'add', serial: two.serial })
  await run(house, 'stolen', { what: 'remove', serial: two.serial })
  const { out } = await run(house, 'export', { what: 'stolen' })
  t.equal(out, `${one.serial}\n${three.serial}\n`)
  const other = await school(t)
  t.match(await bring(other.house, { 'stolen.list': out }), { exit: 0, out: /^stolen\.list: 2 taken/ })
})

t.test('activity says who asked when and what came of it, as CSV without uuids or formulas', async (t) => {
  const { house, port } = await school(t, {
    changes: [...changes, { serial: one.serial, laptop: { school: '=HYPERLINK("x")', group: '+1, 🦉 "b"' } }],
  })
  await ask(port, two.serial)
  await ask(port, two.serial)
  await ask(port, three.serial)
  const { exit, out } = await run(house, 'export', { what: 'activity' })
  t.equal(exit, 0)
  const rows = parse(out, { columns: true }) as Record<string, string>[]
  t.strictSame(Object.keys(rows[0] ?? {}), [
    'serial',
    'school',
    'group',
    'first',
    'last',
    'count',
    'answer',
    'until',
  ])
  t.match(rows, [
    { serial: one.serial, school: '\'=HYPERLINK("x")', group: '\'+1, 🦉 "b"', count: '', answer: '' },
    {
      serial: two.serial,
      first: /^20.*Z$/,
      last: /^20.*Z$/,
      count: '2',
      answer: 'lease',
      until: /^20\d{6}T\d{6}Z$/,
    },
    { serial: three.serial, count: '1', answer: 'stolen', until: '' },
    { serial: four.serial, count: '' },
  ])
  t.notMatch(out, /[0-9A-F]{8}-[0-9A-F]{4}/)
  const cells = rows.flatMap((row) => Object.values(row))
  t.strictSame(
    cells.filter((cell) => /^\s*[=+\-@]/.test(cell)),
    [],
  )
})

t.test('what cannot be meant is refused with words', async (t) => {
  const { house } = await school(t)
  t.match(await run(house, 'export', { what: 'owls' }), {
    exit: 64,
    err: '"owls" is none of leases, stolen and activity',
  })
  for (const options of [{ laptops: one.serial }, { bundle: 'yes' }])
    t.match(await run(house, 'export', { what: 'stolen' }, { options }), { exit: 64, err: /are for leases/ })
  t.match(await run(house, 'export', { what: 'leases' }, { options: { days: '0' } }), { exit: 64 })
})

t.test('a thousand laptops on a stick are signed for, each once', async (t) => {
  const keyring = new DeskKeyring()
  const many = Array.from({ length: 1000 }, (_, n) => laptop(n))
  const { house } = await school(t, {
    keyring,
    changes: many.map(({ serial, uuid }) => ({ serial, laptop: { uuid } })),
  })
  const { out } = await run(house, 'export', { what: 'leases' })
  const lines = out.trimEnd().split('\n')
  t.equal(lines.length, 1000)
  t.strictSame(
    lines.map((line) => parseLease(line).serial),
    many.map(({ serial }) => serial),
  )
  t.equal(keyring.signed.length, 1000)
  t.ok(lines.every((line, n) => isGood(line, many[n] ?? one)))
  t.equal(leaseOf(one.serial, one.uuid, inDays(1)).length, lines[1]?.length)
})
