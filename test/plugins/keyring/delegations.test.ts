import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { authority, by, school, signed, take } from '../../support/keyring/delegations.js'
import { made } from '../../support/keyring/key-files.js'
import {
  known,
  type Listed,
  noon,
  openDesk,
  publicOf,
  second,
  third,
  xo,
} from '../../support/keyring/open-keyring.js'

t.setTimeout(300_000)

const vectors = 'test/vectors/bios-crypto'
const fieldFile = readFileSync(join(vectors, 'usb/xs-activation/escuela123/d-lease.sig'), 'utf8')
const uuids = [xo, second, third].map(({ uuid }) => uuid)

t.test('the files that field tools made are taken as they are', async (t) => {
  const desk = await school(t)
  t.strictSame(await take(desk, fieldFile), {
    ...{ taken: [xo.serial, second.serial, third.serial], unchanged: 0, refused: [] },
  })
  const oats = readFileSync(join(vectors, 'delegations/d-oats.sig'), 'utf8')
  t.equal((await take(desk, oats, 'oats')).taken.length, 2)
  t.match(desk.service.keyring.delegations(), [{ role: 'lease', ...xo, until: '20300101T000000Z' }])
  t.equal(desk.service.keyring.reach('lease'), 3)
  await desk.close()
  const again = await school(t, { root: desk.root, trusts: [], keys: [] })
  t.equal(again.service.keyring.reach('lease'), 3, 'and are there after a start')
  t.match((await again.service.audit.last(2))[0], {
    by,
    what: 'keyring take-delegations lease 3',
    key: known('server').id,
  })
})

t.test('a file that was edited on some other system is taken too', async (t) => {
  const [one = '', two = '', three = ''] = fieldFile.split('\n')
  const edited = `\ufeff${one}\r\n\r\n  \n${two.replace('del01: ', 'del01:  ')}\r\n${three}`
  t.strictSame((await take(await school(t), edited)).taken, [xo.serial, second.serial, third.serial])
})

t.test(
  'each line that is refused is named, with a reason and without a secret; the others are taken',
  async (t) => {
    const [one = '', two = '', three = ''] = fieldFile.split('\n')
    const desk = await authority(t)
    const forAnother = (await signed(desk, '20280101T000000Z', [second], 'region')).trim()
    const past = await authority(t, { now: () => new Date('2026-12-01T00:00:00Z') })
    const ended = (await signed(past, '20261231T000000Z', [second])).trim()
    const flipped = two.slice(0, -1) + (two.endsWith('0') ? '1' : '0')
    const lines = [
      'hello',
      one,
      '',
      forAnother,
      ended,
      flipped,
      two.replace(second.serial, third.serial),
      two.toLowerCase().replace('t000000z', 'T000000Z'),
      two.slice(0, 100),
      `act01: ${xo.serial} K 20300101T000000Z ${'sig01: sha256'}`,
      three,
      'x'.repeat(100_000),
    ]
    const { taken, unchanged, refused } = await take(await school(t), lines.join('\n'))
    t.strictSame([taken, unchanged], [[xo.serial, third.serial], 0])
    t.match(refused, [
      { line: 1, reason: /begins with none of/ },
      { line: 4, serial: second.serial, reason: 'lets none of the keys of this server sign' },
      { line: 5, serial: second.serial, reason: /ended at 20261231T000000Z/ },
      { line: 6, serial: second.serial, reason: 'lets none of the keys of this server sign' },
      { line: 7, serial: third.serial },
      { line: 8 },
      { line: 9 },
      { line: 10 },
      { line: 12, reason: /longer than 8191 bytes/ },
    ])
    t.equal(refused.length, 9)
    for (const uuid of uuids) t.notMatch(JSON.stringify(refused), uuid)
  },
)

t.test('where nothing can be judged it is said what to import first', async (t) => {
  const strange = await openDesk(t, { keys: [['server', 'server']] })
  await t.rejects(take(strange, fieldFile), {
    code: 'REFUSED',
    message: /no lease key is trusted/,
    hint: /keyring import/,
  })
  const keyless = await openDesk(t, { trusts: [['lease', 'lease']] })
  await t.rejects(take(keyless, fieldFile), {
    code: 'REFUSED',
    message: /no key of its own/,
    hint: /generate server/,
  })
  const mistaken = await openDesk(t, { trusts: [['lease', 'rogue']], keys: [['server', 'server']] })
  t.match(await take(mistaken, fieldFile), { taken: [], refused: [{ reason: /no trusted key/ }] })
})

t.test('delegations for another role are refused with the role that they are for', async (t) => {
  const desk = await school(t)
  const oats = readFileSync(join(vectors, 'delegations/d-oats.sig'), 'utf8')
  const says = (role: string, other: string) =>
    `is signed by ${known(role).id.slice(0, 12)}, which is trusted for ${role} and not for ${other}: take it over with --role ${role}`
  const { taken, refused } = await take(desk, oats)
  t.strictSame(taken, [])
  t.match(refused[0], { line: 1, serial: xo.serial, reason: says('oats', 'lease') })
  t.match((await take(desk, fieldFile, 'oats')).refused[0], { reason: says('lease', 'oats') })
})

t.test('a file that is none of delegations is refused before it fills the memory', async (t) => {
  const desk = await school(t)
  await t.rejects(take(desk, 'x\n'.repeat(50_000)), {
    code: 'REQUEST_INVALID',
    message: /more than 10000 of the first/,
  })
  await t.rejects(take(desk, ' '.repeat((64 << 20) + 1)), { code: 'REQUEST_TOO_LARGE' })
  await t.rejects(take(desk, '\n'.repeat(1_000_000)), {
    code: 'REQUEST_TOO_LARGE',
    message: /more than 500000 lines/,
  })
})

t.test('of two delegations the one that ends later counts, while it can be signed with', async (t) => {
  const desk = await school(t)
  const { service } = desk
  const its = await authority(t)
  const file = (until: string, laptops = [xo], to = 'server') => signed(its, until, laptops, to)
  t.match(await take(desk, await file('20270601T000000Z')), { taken: [xo.serial], unchanged: 0 })
  t.match(await take(desk, await file('20270601T000000Z')), { taken: [], unchanged: 1 }, 'the same')
  t.match(
    await take(desk, await file('20270501T000000Z')),
    { taken: [], unchanged: 1 },
    'one that ends sooner',
  )
  t.match(
    await take(desk, await file('20270701T000000Z')),
    { taken: [xo.serial], unchanged: 0 },
    'a later one',
  )
  const both = (await file('20270901T000000Z')) + (await file('20270801T000000Z'))
  t.match(await take(desk, both), { taken: [xo.serial], unchanged: 1 }, 'two in one file')
  t.equal(service.held.get('lease', xo.serial)?.until, '20270901T000000Z')
  const mended = { serial: xo.serial, uuid: second.uuid }
  t.match(
    await take(desk, await file('20270901T000000Z', [mended])),
    { taken: [xo.serial] },
    'another mainboard',
  )
  t.equal(service.held.get('lease', xo.serial)?.uuid, second.uuid)
  await service.vault.addPair('server', made('region.private'))
  await service.vault.mark(known('server').id, 'compromised')
  const sooner = await file('20270401T000000Z', [xo], 'region')
  t.match(await take(desk, sooner), { taken: [xo.serial] }, 'the one held is of a key that leaked')
  t.match(service.keyring.basis('lease', xo.serial), { key: known('region').id, until: '20270401T000000Z' })
})

t.test(
  'of two that end together the one for the newer key counts, in whatever order they come',
  async (t) => {
    const desk = await school(t)
    const { service } = desk
    await service.vault.addPair('server', made('region.private'))
    const its = await authority(t)
    const [old, renewed] = [
      await signed(its, '20271231T235959Z', [xo], 'server'),
      await signed(its, '20271231T235959Z', [xo], 'region'),
    ]
    t.match(await take(desk, old), { taken: [xo.serial] })
    t.match(await take(desk, renewed), { taken: [xo.serial], unchanged: 0 })
    t.match(await take(desk, old), { taken: [], unchanged: 1 }, 'an old stick takes nothing back')
    await service.vault.mark(known('server').id, 'retired')
    t.match(service.keyring.basis('lease', xo.serial), { key: known('region').id }, 'the old key may go')
  },
)

t.test('an authority signs what is new or changed, and gives the rest as it was', async (t) => {
  let time = noon
  const { service } = await authority(t, { now: () => time })
  const until = '20271231T235959Z'
  const issue = (one: Listed, more: object = {}) =>
    service.issuer.issue(one, { role: 'lease', to: publicOf('server'), until, isFixed: true, by, ...more })
  const first = await issue(xo)
  t.equal(first.wasKept, false)
  t.strictSame(await issue(xo), { ...first, wasKept: true }, 'the same')
  t.equal((await issue({ ...xo, uuid: second.uuid })).wasKept, false, 'another uuid')
  t.equal((await issue(xo)).wasKept, false)
  t.equal((await issue(xo, { to: publicOf('region') })).wasKept, false, 'another school')
  t.equal((await issue(xo, { role: 'oats' })).wasKept, false, 'another right')
  t.equal((await issue(xo)).wasKept, true, 'of each the newest is remembered')
  t.equal((await issue(xo, { until: '20270630T235959Z' })).wasKept, true, 'it ends later than it has to')
  t.equal((await issue(xo, { until: '20280131T235959Z' })).wasKept, false, 'it should end later')
  const rolling = (one: Listed, end: string) => issue(one, { until: end, isFixed: false })
  t.equal((await rolling(second, until)).wasKept, false)
  time = new Date('2027-05-01T12:00:00Z')
  t.equal((await rolling(second, '20280501T000000Z')).wasKept, true, 'most of its time is left')
  time = new Date('2027-09-01T12:00:00Z')
  t.equal((await rolling(second, '20280901T000000Z')).wasKept, false, 'most of its time is gone')
  await issue(third)
  await service.vault.addPair('lease', made('n-lease.private'))
  t.equal((await issue(third)).wasKept, false, 'with a new master key')
  t.equal((await service.audit.last(100)).filter(({ what }) => what === 'del01 lease').length, 9)
})
