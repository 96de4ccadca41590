import fc from 'fast-check'
import t, { type Test } from 'tap'
import { checkLease as judgeLease } from '../../../plugins/keyring/public.js'
import {
  checkDelegation,
  checkDeveloperKey,
  checkLease,
  checkOats,
  checkRtcReset,
  type LockedLaptop,
} from '../../../sugaroid/index.js'
import {
  type Desk,
  known,
  madeUp,
  noon,
  openDesk,
  publicOf,
  second,
  third,
  xo,
} from '../../support/keyring/open-keyring.js'
import { runs } from '../../support/rounds.js'

t.setTimeout(300_000)

const now = '20270101T120000Z'
const by = 'test'
const laptop = (name: string, { serial, uuid }: typeof xo = xo): LockedLaptop => ({
  ...{ serial, uuid, now },
  keys: [known(name)],
})

/** The authority, a region and a school, each with its own key, and what was delegated from one to the next. */
interface Chain {
  readonly authority: Desk
  readonly region: Desk
  readonly school: Desk
}

const delegated = async (
  { service }: Desk,
  role: 'lease' | 'oats',
  to: string,
  expiry: string,
  laptops = [xo, second],
): Promise<string> => {
  const wanted = { role, to: publicOf(to), until: expiry, isFixed: true, by }
  const issued = await Promise.all(laptops.map((one) => service.issuer.issue(one, wanted)))
  return issued.map(({ line }) => `${line}\n`).join('')
}

async function chain(t: Test): Promise<Chain> {
  const settings = { 'keyring-role': 'authority' }
  const trusts = [
    ['lease', 'lease'],
    ['oats', 'oats'],
  ] as const
  const authority = await openDesk(t, { settings, keys: trusts })
  const region = await openDesk(t, { settings, trusts, keys: [['server', 'region']] })
  const school = await openDesk(t, { trusts, keys: [['server', 'server']] })
  for (const role of ['lease', 'oats'] as const) {
    const first = await delegated(authority, role, 'region', '20280101T000000Z')
    await region.service.keyring.takeDelegations(role, first, by)
    const next = await delegated(region, role, 'server', '20270701T000000Z')
    const { taken, refused } = await school.service.keyring.takeDelegations(role, next, by)
    t.strictSame([taken.length, refused], [2, []])
  }
  return { authority, region, school }
}

t.test('a laptop boots with what a master key signs, whoever looks at it', async (t) => {
  const { service } = await openDesk(t, { keys: [['lease', 'lease']] })
  const { keyring } = service
  t.match(keyring.basis('lease', xo.serial), {
    key: known('lease').id,
    until: '00000000T000000Z',
    version: 1,
  })
  t.equal(keyring.reach('lease'), 'all')
  const expiry = '20270201T000000Z'
  const line = await keyring.lease({ ...xo, expiry, by })
  t.match(line, /^act01: SHC94700123 K 20270201T000000Z sig01: sha256 [0-9a-f]{64} [0-9a-f]{512}$/)
  t.match(checkLease(`${line}\n`, laptop('lease')), { verdict: /^valid$/, expiry })
  const question = { serial: xo.serial, uuid: xo.uuid, at: now, trusted: [publicOf('lease')] }
  t.match(judgeLease(line, question), { verdict: /^valid$/, expiry })
  t.match(checkLease(`${line}\n`, laptop('rogue')), { verdict: 'no-match' })
  t.match(checkLease(`${line}\n`, { ...laptop('lease'), uuid: second.uuid }), { verdict: 'invalid' })
})

t.test('any laptop and any time to come make a lease that exactly that laptop takes', async (t) => {
  const { service } = await openDesk(t, { keys: [['lease', 'lease']] })
  const hex = (length: number) =>
    fc
      .array(fc.constantFrom(...'0123456789ABCDEF'), { minLength: length, maxLength: length })
      .map((all) => all.join(''))
  const uuids = fc.tuple(hex(8), hex(4), hex(4), hex(4), hex(12)).map((parts) => parts.join('-'))
  const serials = fc.tuple(fc.constantFrom('SHC', 'CSN', 'SHF', 'AAA'), hex(8)).map((parts) => parts.join(''))
  const times = fc.date({ min: noon, max: new Date('2099-12-31T00:00:00Z'), noInvalidDate: true })
  const property = fc.assert(
    fc.asyncProperty(serials, uuids, times, async (serial, uuid, time) => {
      const expiry = `${time.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
      const line = await service.keyring.lease({ serial, uuid, expiry, by })
      const its = checkLease(line, laptop('lease', { serial, uuid }))
      return its.verdict === 'valid' && its.expiry === expiry
    }),
    runs(60),
  )
  await t.resolves(property)
})

t.test(
  'a school signs through the delegations of authority and region, and the laptop takes it',
  async (t) => {
    const { school, region } = await chain(t)
    const { keyring } = school.service
    const until = '20270701T000000Z'
    t.strictSame(keyring.basis('lease', xo.serial), {
      key: known('server').id,
      until,
      uuid: xo.uuid,
      version: 2,
    })
    t.equal(keyring.basis('lease', third.serial), undefined, 'nobody delegated that one')
    t.equal(keyring.reach('lease'), 2)
    const line = await keyring.lease({ ...xo, expiry: '20270301T000000Z', by })
    t.equal(line.split(' ').length, 5 + 3 * 4, 'three links')
    t.match(checkLease(`${line}\n`, laptop('lease')), { verdict: /^valid$/, expiry: '20270301T000000Z' })
    t.match(checkLease(`${line}\n`, laptop('rogue')), { verdict: 'no-match' })
    const one = await region.service.keyring.lease({ ...second, expiry: '20270301T000000Z', by })
    t.match(checkLease(one, laptop('lease', second)), { verdict: /^valid$/ }, 'one delegation does, too')
  },
)

t.test('a delegation is what a laptop follows to the key of the school', async (t) => {
  const { authority, region } = await chain(t)
  const line = await delegated(authority, 'lease', 'server', '20270601T000000Z', [xo])
  t.match(line, `del01: ${xo.serial} ${xo.uuid} sig02: `)
  t.match(checkDelegation(line, laptop('lease'), known('server')), {
    verdict: /^valid$/,
    expiry: '20270601T000000Z',
  })
  t.match(checkDelegation(line, laptop('lease'), known('rogue')), { verdict: 'invalid' })
  const next = await delegated(region, 'lease', 'server', '20270901T000000Z', [xo])
  t.match(checkDelegation(next, laptop('lease'), known('server')), {
    verdict: /^valid$/,
    expiry: '20270901T000000Z',
  })
})

t.test(
  'nothing is signed beyond a delegation, for a time that has passed, or for what is no time',
  async (t) => {
    const { school } = await chain(t)
    const { keyring, audit } = school.service
    const ask = (expiry: string, one = xo) => keyring.lease({ ...one, expiry, by })
    await t.resolves(ask('20270701T000000Z'), 'to the second')
    await t.rejects(ask('20270701T000001Z'), { code: 'REFUSED', message: /is beyond 20270701T000000Z/ })
    await t.rejects(ask('00000000T000000Z'), { code: 'REFUSED', message: /is beyond 20270701T000000Z/ })
    await t.rejects(ask('20270101T115959Z'), { code: 'REFUSED', message: /has passed already/ })
    await t.rejects(ask('tomorrow'), { code: 'REQUEST_INVALID' })
    await t.rejects(ask('20270301T000000Z', third), {
      code: 'REFUSED',
      message: /no delegation for SHF80600A54/,
    })
    await t.rejects(ask('20270301T000000Z', { ...xo, serial: xo.serial.toLowerCase() }), {
      code: 'REQUEST_INVALID',
    })
    await t.rejects(ask('20270301T000000Z', { ...xo, uuid: 'none' }), { code: 'REQUEST_INVALID' })
    t.equal((await audit.last(100)).filter(({ what }) => what === 'act01').length, 1)
  },
)

t.test('what was delegated ends, with the clock of the school', async (t) => {
  const authority = await openDesk(t, { keys: [['oats', 'oats']] })
  const line = await delegated(authority, 'oats', 'server', '20270701T000000Z')
  let time = noon
  const { service } = await openDesk(t, {
    now: () => time,
    trusts: [['oats', 'oats']],
    keys: [['server', 'server']],
  })
  await service.keyring.takeDelegations('oats', line, by)
  t.equal(service.keyring.reach('oats'), 2)
  const ask = { serial: xo.serial, response: '["oatc-resp",1,{"nonce":"1"}]', by }
  t.match(
    await service.keyring.oats(ask),
    / 20270701T000000Z [0-9a-f]{512}$/,
    'the link ends with the delegation',
  )
  time = new Date('2027-07-01T00:00:01Z')
  t.equal(service.keyring.reach('oats'), 0)
  await t.rejects(service.keyring.oats(ask), { code: 'REFUSED', message: /ended at 20270701T000000Z/ })
})

t.test('with a key that leaked nothing is signed, nor behind a delegation of one', async (t) => {
  const { school } = await chain(t)
  const { keyring, vault } = school.service
  const basis = () => keyring.basis('lease', xo.serial)
  await vault.mark(known('lease').id, 'retired')
  t.match(basis(), { version: 2 }, 'a retired master key is trusted still')
  await vault.mark(known('lease').id, 'compromised')
  t.equal(basis(), undefined)
  t.equal(keyring.reach('lease'), 0)
  await vault.mark(known('lease').id, 'active')
  t.match(basis(), { version: 2 })
  for (const state of ['retired', 'compromised'] as const) {
    await vault.mark(known('server').id, state)
    t.equal(basis(), undefined, `the key of the school is ${state}`)
  }
})

t.test('a clock is set with the key of leases, or behind its delegation', async (t) => {
  const asked = { clock: '20000101T000312Z', nonce: '0000000135' }
  const ask = { ...xo, current: asked.clock, nonce: asked.nonce, by }
  const { authority, school } = await chain(t)
  for (const [form, { service }] of [
    ['sig01', authority],
    ['sig02', school],
  ] as const) {
    const line = await service.keyring.resetClock(ask)
    t.match(line, `rtc01: ${xo.serial} 20000101T000312Z 0000000135 ${now} ${form}: `)
    t.match(checkRtcReset(`${line}\n`, laptop('lease'), asked), { verdict: /^valid$/, time: now }, form)
    t.match(checkRtcReset(`${line}\n`, laptop('lease'), { ...asked, nonce: '0000000136' }), {
      verdict: 'invalid',
    })
  }
  await t.rejects(school.service.keyring.resetClock({ ...ask, nonce: '135' }), { code: 'REQUEST_INVALID' })
  await t.rejects(school.service.keyring.resetClock({ ...ask, current: 'now' }), { code: 'REQUEST_INVALID' })
})

t.test('an answer of OATS is signed to the byte, and a laptop takes it', async (t) => {
  const { authority, school } = await chain(t)
  const response = `["oatc-resp",1,{"greeting":"¡buenos días! \\"\\\\","nonce":"N1","time":"${now}"}]`
  for (const [form, { service }] of [
    ['sig01', authority],
    ['sig02', school],
  ] as const) {
    const signature = await service.keyring.oats({ serial: xo.serial, response, by })
    t.match(signature, new RegExp(`^${form}: `))
    const body = Buffer.from(`["oatc-signed-resp",1,[${response},["sig",1,["${signature}\n"]]]]`)
    t.match(
      checkOats(body, laptop('oats'), 'N1'),
      { verdict: /^valid$/, content: { nonce: 'N1', time: now } },
      form,
    )
    const changed = Buffer.from(body.toString().replace('"N1"', '"N2"'))
    t.match(checkOats(changed, laptop('oats'), 'N2'), { verdict: 'invalid' })
  }
})

t.test('what is no answer of OATS is not signed as one: it could be a lease', async (t) => {
  const { school } = await chain(t)
  const texts = [
    `${xo.serial}:${xo.uuid}:K:20370101T000000Z`,
    '',
    '["oatc-resp",1,{}',
    ` ["oatc-resp",1,{}]`,
    `["oatc-resp",1,{"a":"${'x'.repeat(70_000)}"}]`,
  ]
  for (const response of texts)
    await t.rejects(school.service.keyring.oats({ serial: xo.serial, response, by }), {
      code: 'REQUEST_INVALID',
    })
})

t.test('a developer key is signed by the key for that, and by none that is delegated', async (t) => {
  const { service } = await openDesk(t, { keys: [['developer', 'developer']] })
  const line = await service.records.developerKey({ ...xo, by })
  t.match(checkDeveloperKey(`${line}\n`, laptop('developer')), {
    verdict: /^valid$/,
    expiry: '00000000T000000Z',
  })
  t.match(checkDeveloperKey(`${line}\n`, { ...laptop('developer'), uuid: second.uuid }), {
    verdict: 'invalid',
  })
  const { school } = await chain(t)
  await t.rejects(school.service.records.developerKey({ ...xo, by }), {
    code: 'REFUSED',
    message: 'there is no active key to sign as developer',
  })
})

t.test('a chain that is as long as a laptop reads ends there', async (t) => {
  const settings = { 'keyring-role': 'authority' }
  const until = '20280101T000000Z'
  const [one] = madeUp(1)
  if (one === undefined) return
  let desk = await openDesk(t, { settings, keys: [['lease', 'lease']] })
  // Two servers that delegate to each other, again and again: each time a link more.
  for (let links = 1; links <= 6; links += 1) {
    const name = links % 2 === 0 ? 'server' : 'region'
    const line = await delegated(desk, 'lease', name, until, [one])
    desk = await openDesk(t, { settings, trusts: [['lease', 'lease']], keys: [['server', name]] })
    t.strictSame((await desk.service.keyring.takeDelegations('lease', line, by)).refused, [])
  }
  const lease = await desk.service.keyring.lease({ ...one, expiry: until, by })
  t.match(checkLease(lease, laptop('lease', one)), { verdict: /^valid$/ }, 'seven links')
  await t.rejects(delegated(desk, 'lease', 'region', until, [one]), {
    message: /has 6 links, and no more can go behind it/,
  })
})
