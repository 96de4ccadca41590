import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SystemError } from '../../../core/api.js'
import { remove } from '../../../plugins/keyring/commands/remove.js'
import { Vault } from '../../../plugins/keyring/keys/vault.js'
import { facts, filesIn, filled, idOf, publicOf } from '../../support/keyring/filled-vault.js'
import { fill, made, smallDisk } from '../../support/keyring/key-files.js'
import { compact, csv, give, home, inDays } from '../../support/keyring/keyring-server.js'
import { openDesk, xo } from '../../support/keyring/open-keyring.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const short = (name: string) => idOf(name).slice(0, 12)
const authority = { 'keyring-role': 'authority' }

t.test('a key that was put here by mistake is removed, both halves, and for good', async (t) => {
  const root = temporaryDirectorySync(t)
  const its = await home(t, authority, root)
  await give(its, 'lease', 'lease')
  await give(its, 'lease', 'developer')
  await give(its, 'oats', 'rogue', 'public')
  const remove = (key: string) => its.run('remove', { args: { key } })
  const gone = await remove(short('developer'))
  t.match(gone, { exit: 0, out: `removed: the pair ${short('developer')} (lease)\n` })
  t.match(gone.err, `${short('lease')} signs for lease now`)
  t.match(await remove(short('rogue')), {
    exit: 0,
    out: `removed: the public key ${short('rogue')} (oats)\n`,
  })
  t.strictSame(
    its.keyring.trusted('lease').map(({ id }) => id),
    [idOf('lease')],
  )
  t.strictSame(
    filesIn(join(root, 'keyring', 'keys')).filter((path) => !path.includes(idOf('lease'))),
    [join(root, 'keyring', 'keys', 'states.json')],
  )
  t.match(await remove(short('developer')), { exit: 66 }, 'it is not there any more')
  const { out } = await its.run('audit', { json: true })
  const said = JSON.parse(out) as { what: string; key: string; by: string }[]
  t.match(said.slice(-2), [
    { by: 'operator', what: 'keyring remove', key: idOf('developer') },
    { what: 'keyring remove', key: idOf('rogue') },
  ])
  await give(its, 'developer', 'developer')
  t.match(await remove(short('lease')), { exit: 0, err: /no key of this server signs for lease now/ })
  await its.house.dispose()
  const again = await home(t, authority, root)
  t.match(JSON.parse((await again.run('list', { json: true })).out), [{ role: 'developer', state: 'active' }])
  t.notMatch((await again.told()).all, /is gone/)
})

t.test('a key that has signed, or is compromised, or that delegations hand over to, stays', async (t) => {
  const its = await home(t, authority)
  await give(its, 'lease', 'lease')
  await give(its, 'oats', 'rogue', 'public')
  const remove = (name: string) => its.run('remove', { args: { key: short(name) } })
  const ask = { ...xo, expiry: `${compact(inDays(1))}T000000Z`, by: 'test' }
  await its.keyring.lease(ask)
  t.match(await remove('lease'), {
    exit: 77,
    err: new RegExp(`${short('lease')} has signed: act01 at .*mark ${short('lease')} retired`, 's'),
  })
  await its.run('mark', { args: { key: short('rogue'), state: 'compromised' } })
  t.match(await remove('rogue'), { exit: 77, err: /is compromised, which would be forgotten.*active/s })

  const school = await home(t)
  await give(school, 'lease', 'lease', 'public')
  await give(school, 'server', 'server')
  await give(school, 'server', 'region')
  const { out } = await its.run('export', { args: { key: short('lease') }, options: { text: 'yes' } })
  t.match(out, /^key01:/)
  const key = join(temporaryDirectorySync(t), 'server.public')
  writeFileSync(key, made('server.public'))
  const delegations = await its.run('delegate', { file: csv, options: { key } })
  t.equal((await school.run('take-delegations', { file: delegations.out })).exit, 0)
  t.match(await school.run('remove', { args: { key: short('server') } }), {
    exit: 77,
    err: /3 delegations hand over to .*retired/s,
  })
  t.equal((await school.run('remove', { args: { key: short('region') } })).exit, 0, 'none to this one')
  t.match(await school.run('remove', { args: { key: short('lease') } }), {
    exit: 0,
    err: /3 laptops have no delegation for lease that counts any more/,
  })
})

t.test('while the audit log cannot be asked or written nothing is removed', async (t) => {
  const { service, root } = await openDesk(t, { keys: [['lease', 'lease']] })
  await service.audit.append({ by: 'test', what: 'keyring import', key: idOf('lease') })
  const removing = () =>
    remove(service, { args: { key: short('lease') }, print: () => undefined, note: () => undefined })
  service.audit.append = () =>
    Promise.reject(new SystemError('NO_SPACE', 'the disk is full', { hint: 'make room' }))
  await t.rejects(removing(), { code: 'NO_SPACE' })
  const path = join(root, 'keyring', 'audit', 'log')
  renameSync(path, `${path}.1`)
  mkdirSync(path)
  await t.rejects(removing(), {
    code: 'UNAVAILABLE',
    message: /what .* has signed, cannot be read \(EISDIR\)/,
  })
  t.match(facts(service.vault), [{ role: 'lease', hasPrivate: true }])
})

t.test('a removal that is cut off anywhere has happened or not', async (t) => {
  const { folder, vault } = await filled(t, 'lease', 'region')
  const states = join(folder, 'states.json')
  const path = (half: string) => join(folder, 'lease', `${idOf('region')}.${half}`)
  await vault.mark(idOf('region'), 'retired')
  const before = facts(vault)
  const whole = readFileSync(states, 'utf8')
  // As remove() writes it first.
  const leaving = whole.replace('"state": "retired"', '"state": "removed"')
  t.not(leaving, whole)
  for (const gone of [[], ['public'], ['public', 'private']]) {
    writeFileSync(states, whole)
    for (const half of ['public', 'private'])
      writeFileSync(path(half), made(`region.${half}`), { mode: 0o600 })
    t.strictSame(facts(await Vault.open(folder)), before)
    writeFileSync(states, leaving)
    for (const half of gone) rmSync(path(half))
    const again = await Vault.open(folder)
    t.strictSame(facts(again), before.slice(0, 1), `without ${gone.join(' and ') || 'anything removed'}`)
    t.strictSame(again.notes, [])
    t.notOk(existsSync(path('private')))
    t.notOk(existsSync(path('public')))
    t.notMatch(readFileSync(states, 'utf8'), idOf('region'), 'and leaves no trace')
  }
  t.match(await (await Vault.open(folder)).addPair('oats', made('region.private')), {
    isNew: true,
    key: { state: 'active' },
  })
})

t.test('on a full disk a key is removed or stays whole', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return
  const folder = join(disk, 'keys')
  const vault = await Vault.open(folder)
  for (const name of ['lease', 'region']) await vault.addPair('lease', made(`${name}.private`))
  const before = facts(vault)
  const empty = fill(disk)
  await t.rejects(vault.remove(idOf('region')), { code: 'NO_SPACE' })
  t.strictSame(facts(vault), before)
  empty()
  t.strictSame(facts(await Vault.open(folder)), before)
  await vault.remove(idOf('region'))
  t.strictSame(facts(vault), before.slice(0, 1))
  await t.rejects(vault.remove(idOf('region')), { code: 'NOT_FOUND' })
  t.strictSame(facts(await Vault.open(folder)), before.slice(0, 1))
  t.equal(vault.signing('lease')?.publicKey.equals(publicOf('lease')), true)
})
