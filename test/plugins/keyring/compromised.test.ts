import t, { type Test } from 'tap'
import { delegations } from '../../../plugins/keyring/commands/delegations.js'
import { mark } from '../../../plugins/keyring/commands/mark.js'
import { authority, by, school, take } from '../../support/keyring/delegations.js'
import { type Desk, openDesk, publicOf, second, third, xo } from '../../support/keyring/open-keyring.js'

t.setTimeout(300_000)

const laptops = [xo, second, third]
const { id, hex } = publicOf('region')

/** What a region delegates on to the school, as lines for each role. */
async function throughRegion(t: Test): Promise<Record<'lease' | 'oats', string>> {
  const from = async ({ service }: Desk, role: 'lease' | 'oats', to: string) => {
    const wanted = { role, to: publicOf(to), until: '20270701T000000Z', isFixed: true, by }
    const issued = await Promise.all(laptops.map((one) => service.issuer.issue(one, wanted)))
    return issued.map(({ line }) => `${line}\n`).join('')
  }
  const top = await authority(t)
  const region = await openDesk(t, {
    settings: { 'keyring-role': 'authority' },
    trusts: [
      ['lease', 'lease'],
      ['oats', 'oats'],
    ],
    keys: [['server', 'region']],
  })
  const lines = { lease: '', oats: '' }
  for (const role of ['lease', 'oats'] as const) {
    await take(region, await from(top, role, 'region'), role)
    lines[role] = await from(region, role, 'server')
  }
  return lines
}

t.test('a key in the middle of a chain that is compromised ends all that goes through it', async (t) => {
  const lines = await throughRegion(t)
  const desk = await school(t)
  const { service } = desk
  const { keyring } = service
  for (const role of ['lease', 'oats'] as const)
    t.equal((await take(desk, lines[role], role)).taken.length, 3)
  const asks = () => [
    keyring.lease({ ...xo, expiry: '20270201T000000Z', by }),
    keyring.oats({ serial: xo.serial, response: '["oatc-resp",1,{}]', by }),
    keyring.resetClock({ ...xo, current: '19700101T000000Z', nonce: '0000000001', by }),
  ]
  await t.resolves(Promise.all(asks()))
  await service.vault.add('server', publicOf('region'))
  await t.resolves(Promise.all(asks()), 'to know a key is no harm')
  t.strictSame([keyring.isCompromised(id), keyring.isCompromised(hex)], [false, false])

  const said: string[] = []
  const marking = (state: string) =>
    mark(service, { args: { key: id, state }, print: () => undefined, note: (line) => void said.push(line) })
  await marking('compromised')
  t.match(said.join('\n'), /3 laptops have no delegation for lease that counts any more/)
  t.match(said.join('\n'), /3 laptops have no delegation for oats that counts any more/)
  t.strictSame([keyring.isCompromised(id), keyring.isCompromised(hex)], [true, true])
  t.notOk(keyring.isCompromised(publicOf('server').id))
  for (const ask of asks())
    await t.rejects(ask, { code: 'REFUSED', message: /no delegation for SHC94700123 that counts/ })
  for (const role of ['lease', 'oats'] as const) {
    t.equal(keyring.basis(role, xo.serial), undefined)
    t.equal(keyring.reach(role), 0)
  }
  const rows: unknown[] = []
  delegations(service, { list: (found) => void rows.push(...found) })
  t.equal(rows.length, 6)
  for (const row of rows) t.match(row, { note: 'one of its keys does not count' })
  const { taken, refused } = await take(desk, lines.lease)
  t.strictSame(taken, [])
  t.match(
    refused.map(({ reason }) => reason),
    Array(3).fill(`goes through ${id.slice(0, 12)}, which is compromised`),
  )
  t.ok(
    keyring.trusted('lease').length === 1 && keyring.trusted('server').length === 1,
    'trust stays as it is',
  )

  await desk.close()
  const again = await school(t, { root: desk.root, trusts: [], keys: [] })
  t.equal(again.service.keyring.reach('lease'), 0, 'and so it stays')
  const direct = await authority(t)
  const wanted = {
    role: 'lease' as const,
    to: publicOf('server'),
    until: '20270301T000000Z',
    isFixed: true,
    by,
  }
  const { line } = await direct.service.issuer.issue(xo, wanted)
  t.match(await take(again, line), { taken: [xo.serial] }, 'what it held is nothing against a new one')
  await again.service.vault.mark(id, 'active')
  t.equal(again.service.keyring.reach('lease'), 3, 'marked by mistake')
})
