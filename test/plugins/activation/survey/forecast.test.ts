import t from 'tap'
import { dayOf, formatDay, momentOf } from '../../../../plugins/activation/calendar/day.js'
import { formatMoment } from '../../../../plugins/keyring/public.js'
import { ask, DeskKeyring, laptop, ready, school } from '../../../support/activation/activation-school.js'

interface Row {
  day: string
  laptops: number
  why: string
}

/** A Wednesday at school. */
const now = new Date('2026-11-18T09:00:00')
const dayIn = (days: number): string => formatDay(dayOf(now) + days)
const momentIn = (days: number): string => formatMoment(momentOf(dayOf(now) + days, 6))

function keyringOf({ isMaster = false } = {}): DeskKeyring {
  const keyring = new DeskKeyring()
  keyring.isMaster = isMaster
  keyring.time = () => now
  return keyring
}

t.test('says on which day how many laptops lock, and from when on they cannot be helped', async (t) => {
  const keyring = keyringOf()
  const changes = [
    ready(laptop(1).serial, laptop(1).uuid, momentIn(10)),
    ready(laptop(2).serial, laptop(2).uuid, momentIn(10)),
    ready(laptop(3).serial, laptop(3).uuid, momentIn(90)),
    { serial: laptop(6).serial, laptop: {} },
    {
      ...ready(laptop(7).serial, laptop(7).uuid, momentIn(10)),
      theft: { serial: laptop(7).serial, reason: '', at: now.toISOString() },
    },
  ]
  keyring.delegate(laptop(4).serial, laptop(4).uuid, momentIn(20))
  keyring.delegate(laptop(5).serial, laptop(5).uuid, momentIn(45))
  const { house, port } = await school(t, { changes, keyring })
  for (const number of [1, 4, 7]) await ask(port, laptop(number).serial)
  const { out } = await house.command(['activation', 'forecast'], { json: true })
  const locks = 'the last lease that they got ends'
  const gone = (what: string) => `no lease can be given from here on: their ${what} ends`
  t.same(JSON.parse(out), [
    { day: dayIn(10), laptops: 1, why: locks },
    { day: dayIn(10), laptops: 2, why: gone('ready lease') },
    { day: dayIn(20), laptops: 1, why: locks },
    { day: dayIn(20), laptops: 1, why: gone('delegation') },
    { day: dayIn(45), laptops: 1, why: gone('delegation') },
  ])
  const { out: table, err } = await house.command(['activation', 'forecast'], { options: { days: '15' } })
  t.match(table, /^DAY +LAPTOPS +WHY\n/)
  t.notMatch(table, dayIn(20))
  t.match(err, /4 laptops never got a lease here/)
  t.match(err, /for 1 laptop there is neither/)
  t.match(
    err,
    new RegExp(`delegations of 1 laptop end on ${dayIn(20)}\n.*delegations of 1 laptop end on ${dayIn(45)}`),
  )
})

t.test('says what locks in a holiday, and that it goes away with the holiday in the calendar', async (t) => {
  const keyring = keyringOf()
  const [from, to] = ['2026-12-19', '2027-01-10']
  for (let number = 1; number <= 5; number += 1)
    keyring.delegate(laptop(number).serial, laptop(number).uuid, momentIn(200))
  keyring.delegate(laptop(6).serial, laptop(6).uuid, formatMoment(new Date('2026-12-31T12:00:00')))
  const changes = [ready(laptop(7).serial, laptop(7).uuid, formatMoment(new Date('2026-12-24T12:00:00')))]
  const over = async (settings: Record<string, string>) => {
    const { house } = await school(t, { changes, keyring, settings })
    const call = { args: { to }, options: { holiday: from } }
    const { out } = await house.command(['activation', 'forecast'], { ...call, json: true })
    const { err } = await house.command(['activation', 'forecast'], call)
    return { rows: JSON.parse(out) as Row[], err }
  }
  const unknown = await over({ 'activation-days': '10' })
  t.same(unknown.rows, [
    { day: '2026-12-24', laptops: 1, why: 'their ready lease ends' },
    { day: '2026-12-29', laptops: 6, why: 'the lease that they get then ends' },
  ])
  t.match(unknown.err, /if all ask on 2026-12-18, and again on 2027-01-11/)
  t.match(unknown.err, /put 2026-12-19\.\.2027-01-10 into school-holidays: then only 2 of these 7 would lock/)
  const known = await over({ 'activation-days': '10', 'school-holidays': `${from}..${to}` })
  t.same(known.rows, [
    { day: '2026-12-24', laptops: 1, why: 'their ready lease ends' },
    { day: '2026-12-31', laptops: 1, why: 'their delegation ends' },
  ])
  t.notMatch(known.err, /put /)
  t.match(known.err, /2 laptops need a delegation or ready leases that last until 2027-01-11/)
  const long = await over({ 'activation-days': '40' })
  t.equal(long.rows.length, 2, 'long leases last over it anyway')
})

t.test('laptops that lock before a holiday, and cannot be helped, are told', async (t) => {
  const keyring = keyringOf()
  const [asked, over, gone, unknown] = [laptop(1), laptop(2), laptop(3), laptop(4)]
  const changes = [
    ready(asked.serial, asked.uuid, momentIn(5)),
    ready(gone.serial, gone.uuid, momentIn(-5)),
    { serial: over.serial, laptop: {} },
    { serial: unknown.serial, laptop: {} },
  ]
  keyring.delegate(over.serial, over.uuid, momentIn(300))
  const { house, port } = await school(t, { changes, keyring, settings: { 'activation-days': '34' } })
  for (const { serial } of [asked, over]) await ask(port, serial)
  keyring.held.clear()
  const call = { args: { to: '2027-01-10' }, options: { holiday: '2026-12-19' } }
  const { out } = await house.command(['activation', 'forecast'], { ...call, json: true })
  t.same(JSON.parse(out), [{ day: '2026-12-23', laptops: 1, why: 'the last lease that they got ends' }])
  const { err } = await house.command(['activation', 'forecast'], call)
  t.match(err, /^2 laptops will have locked by then: the last lease .* none can be given here$/m)
  t.match(err, /^1 laptop could get no lease at all on that day; until when theirs last is not known$/m)
  t.notMatch(err, /no .*laptop locks in between/)
  const short = { args: { to: '2026-12-06' }, options: { holiday: '2026-11-30' } }
  t.match((await house.command(['activation', 'forecast'], short)).err, /^no other laptop locks in between$/m)
  const fine = await school(t, { changes: [ready(asked.serial, asked.uuid, momentIn(90))], keyring })
  t.match((await fine.house.command(['activation', 'forecast'], short)).err, /^no laptop locks in between$/m)
})

t.test('what the forecast says of a holiday is what happens', async (t) => {
  const keyring = keyringOf()
  const serials = [1, 2, 3].map((number) => laptop(number))
  for (const { serial, uuid } of serials) keyring.delegate(serial, uuid, momentIn(300))
  const settings = { 'activation-days': '5', 'school-holidays': '2026-12-19..2027-01-10' }
  const { house, port } = await school(t, { keyring, settings })
  const { out } = await house.command(['activation', 'forecast'], {
    args: { to: '2027-01-10' },
    options: { holiday: '2026-12-19' },
    json: true,
  })
  t.same(JSON.parse(out), [])
  keyring.time = () => new Date('2026-12-18T08:00:00')
  for (const { serial } of serials) {
    const { text } = await ask(port, serial)
    t.match(text, ` K ${formatMoment(new Date('2027-01-11T06:00:00'))} `)
  }
})

t.test('days that make no sense are refused with words', async (t) => {
  const { house } = await school(t, { keyring: keyringOf() })
  const run = async (to: string | undefined, options: Record<string, string>) =>
    house.command(['activation', 'forecast'], { ...(to !== undefined && { args: { to } }), options })
  const wrong: [string | undefined, Record<string, string>, RegExp][] = [
    [undefined, { holiday: '2026-12-19' }, /has no last day/],
    ['2027-01-10', {}, /without --holiday/],
    ['2027-01-10', { holiday: '19.12.2026' }, /--holiday must be made of days/],
    ['2026-12-01', { holiday: '2026-12-19' }, /ends before it begins/],
    ['2029-01-10', { holiday: '2026-12-19' }, /longer than a year/],
    ['2026-11-20', { holiday: '2026-11-18' }, /has begun/],
    ['2026-12-20..2026-12-21', { holiday: '2026-12-19' }, /must be made of days/],
  ]
  for (const [to, options, says] of wrong) {
    const { ended } = await run(to, options)
    t.equal(ended.exit, 64)
    t.match(JSON.stringify(ended), says)
  }
  t.equal((await run(undefined, { days: '0' })).ended.exit, 64)
})
