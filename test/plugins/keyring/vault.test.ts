import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parsePair } from '../../../plugins/keyring/keys/pair.js'
import { Vault } from '../../../plugins/keyring/keys/vault.js'
import { facts, filesIn, filled, idOf, names, publicOf } from '../../support/keyring/filled-vault.js'
import { made } from '../../support/keyring/key-files.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('pairs of the real makekey are kept byte for byte, and for this user alone', async (t) => {
  const { folder, vault } = await filled(t)
  for (const name of names) {
    t.match(await vault.addPair('lease', made(`${name}.private`)), { isNew: true, key: { hasPrivate: true } })
    t.match(await vault.addPair('lease', made(`${name}.private`)), { isNew: false }, 'again is no error')
    t.equal(await vault.add('lease', publicOf(name)), 'known')
  }
  const again = await Vault.open(folder)
  t.strictSame(facts(again), facts(vault))
  t.strictSame(again.notes, [])
  t.equal(statSync(folder).mode & 0o777, 0o700)
  for (const name of names) {
    const id = idOf(name)
    for (const half of ['public', 'private']) {
      const path = join(folder, 'lease', `${id}.${half}`)
      t.ok(readFileSync(path).equals(made(`${name}.${half}`)), `${name}.${half}`)
      t.equal(statSync(path).mode & 0o777, 0o600)
    }
    t.ok(again.privateDer(id).equals(made(`${name}.private`)), 'and given out byte for byte')
    t.equal(again.privateKey(id), again.privateKey(id), 'the object is kept')
  }
})

t.test('a pair that is made here is one that makekey could have made', async (t) => {
  const { folder, vault } = await filled(t)
  const both = await Promise.all([vault.generate('server'), vault.generate('server')])
  t.strictSame(new Set(vault.list()), new Set(both))
  t.equal(vault.signing('server'), vault.list()[1], 'the newest signs')
  const [one] = both
  const path = join(folder, 'server', one.publicKey.id)
  t.equal(readFileSync(`${path}.public`).length, 270)
  const pair = parsePair(readFileSync(`${path}.private`))
  t.ok(pair.publicKey.equals(one.publicKey))
  t.ok(readFileSync(`${path}.private`).length <= 1193)
})

t.test('states say what signs and what is trusted, and outlive the server', async (t) => {
  const { folder, vault } = await filled(t, 'lease', 'region')
  await vault.add('lease', publicOf('rogue'))
  const trusted = (vault: Vault) => vault.trusted('lease').map(({ id }) => id)
  t.equal(vault.signing('lease')?.publicKey.id, idOf('region'), 'a public key alone does not sign')
  t.strictSame(trusted(vault), ['lease', 'region', 'rogue'].map(idOf))
  await vault.mark(idOf('region'), 'retired')
  t.equal(vault.signing('lease')?.publicKey.id, idOf('lease'))
  t.strictSame(trusted(vault), ['lease', 'region', 'rogue'].map(idOf), 'what it signed counts')
  await vault.mark(idOf('lease'), 'compromised')
  for (const one of [vault, await Vault.open(folder)]) {
    t.equal(one.signing('lease'), undefined)
    t.strictSame(trusted(one), ['region', 'rogue'].map(idOf))
    t.strictSame(one.trusted('oats'), [], 'roles are apart')
    t.strictSame(
      one.list().map(({ state }) => state),
      ['compromised', 'retired', 'active'],
    )
  }
  await vault.mark(idOf('region'), 'active')
  t.equal(vault.signing('lease')?.publicKey.id, idOf('region'))
  await t.rejects(vault.mark('0'.repeat(64), 'active'), { code: 'NOT_FOUND' })
  t.throws(() => vault.privateKey(idOf('rogue')), { code: 'NOT_FOUND', message: /private half/ })
  t.throws(() => vault.privateDer('0'.repeat(64)), { code: 'NOT_FOUND' })
  t.match(await vault.addPair('lease', made('rogue.private')), { isNew: true })
  t.equal(vault.signing('lease')?.publicKey.id, idOf('rogue'), 'once its private half is here it signs')
})

t.test('one key is found by what people see of it, and never another', async (t) => {
  const { vault } = await filled(t, 'lease', 'region', 'oats')
  for (const name of ['lease', 'region', 'oats']) {
    const id = idOf(name)
    for (const part of [id, id.slice(0, 12), id.slice(0, 12).toUpperCase(), id.slice(-24)])
      t.equal(vault.find(part).publicKey.id, id, part)
  }
  t.throws(() => vault.find('0203010001'), { code: 'REQUEST_INVALID', message: /any of 3 keys: .*lease/ })
  for (const part of ['', 'abc', 'zzzz', '../..', `${idOf('lease')}0`, idOf('rogue')])
    t.throws(() => vault.find(part), { code: 'NOT_FOUND' }, part)
})

t.test('a key has one role', async (t) => {
  const { folder, vault } = await filled(t, 'lease')
  await t.rejects(vault.add('oats', publicOf('lease')), { code: 'REFUSED', message: /for lease already/ })
  await t.rejects(vault.addPair('server', made('lease.private')), { code: 'REFUSED' })
  t.strictSame(facts(await Vault.open(folder)), facts(vault))
})

t.test('a master key on the server of a school is warned of', async (t) => {
  const { vault } = await filled(t, 'lease')
  await vault.add('oats', publicOf('oats'))
  await vault.addPair('server', made('server.private'))
  t.match(vault.warnings('school'), [new RegExp(`master key ${idOf('lease').slice(0, 12)} \\(lease\\)`)])
  t.equal(vault.warnings('school').length, 1)
  t.strictSame(vault.warnings('authority'), [])
})

t.test('what is not as it should be in the directory is said, and the rest serves', async (t) => {
  const { folder, vault } = await filled(t, 'lease', 'region', 'server', 'oats', 'n-lease', 'rogue')
  await vault.mark(idOf('oats'), 'compromised')
  const file = (name: string, half: string) => join(folder, 'lease', `${idOf(name)}.${half}`)
  chmodSync(file('lease', 'private'), 0o644)
  writeFileSync(file('region', 'private'), made('rogue.private'))
  writeFileSync(file('server', 'private'), Buffer.alloc(1_000_000))
  for (const half of ['public', 'private']) rmSync(file('oats', half))
  // A link leads out of what the directory protects; a directory is no key.
  renameSync(file('n-lease', 'private'), join(folder, 'elsewhere'))
  symlinkSync(join(folder, 'elsewhere'), file('n-lease', 'private'))
  rmSync(file('rogue', 'private'))
  mkdirSync(file('rogue', 'private'))
  writeFileSync(join(folder, 'lease', 'README'), 'hello')
  writeFileSync(join(folder, 'lease', `${idOf('lease')}.private.new`), 'half')
  chmodSync(folder, 0o755)
  const again = await Vault.open(folder)
  const short = (name: string) => `lease/${idOf(name).slice(0, 12)}`
  const notes = again.warnings('authority')
  t.equal(notes.length, 6)
  for (const [name, says] of [
    ['lease', /could be read by other users/],
    ['region', /holds another key than its name says/],
    ['server', /is no private RSA key/],
    ['oats', /is gone/],
    ['n-lease', /cannot be read \(ELOOP\)/],
    ['rogue', /cannot be read \(EISDIR\)/],
  ] as const)
    t.ok(
      notes.some((note) => note.includes(short(name)) && says.test(note)),
      `${name}: ${says}`,
    )
  t.equal(statSync(file('lease', 'private')).mode & 0o777, 0o600, 'nobody else can read it any more')
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.notOk(existsSync(`${file('lease', 'private')}.new`))
  t.match(
    again.list().map(({ hasPrivate }) => hasPrivate),
    [true, false, false, false, false],
  )
  await again.addPair('lease', made('region.private'))
  t.match(
    await again.addPair('lease', made('oats.private')),
    { key: { state: 'compromised' } },
    'and stays so',
  )
  t.notOk(again.trusted('lease').some(({ id }) => id === idOf('oats')))
  t.match((await Vault.open(folder)).notes, [/server|private/], 'what was given again is whole')
})

t.test('without the states nothing is guessed', async (t) => {
  const { folder, vault } = await filled(t, 'lease')
  const path = join(folder, 'states.json')
  const whole = readFileSync(path, 'utf8')
  for (const text of [
    '',
    '{',
    '[]',
    '{"version":1}',
    'null',
    whole.replace('active', 'fine'),
    whole.replace('"id": "', '"id": "x'),
  ]) {
    writeFileSync(path, text)
    await t.rejects(Vault.open(folder), { code: 'DAMAGED', hint: /backup/ }, text)
  }
  writeFileSync(path, whole.replace('"version": 1', '"version": 2'))
  await t.rejects(Vault.open(folder), { code: 'STORE_NEWER' })
  rmSync(path)
  await t.rejects(Vault.open(folder), { code: 'DAMAGED', message: /is missing/ })
  writeFileSync(path, whole)
  t.strictSame(facts(await Vault.open(folder)), facts(vault))
})

t.test(
  'a key is noted before anything of it is on the disk, and is not taken where that fails',
  async (t) => {
    const folder = temporaryDirectorySync(t)
    const vault = await Vault.open(folder)
    const seen: string[] = []
    const noted = async (id: string) => {
      seen.push(id)
      t.notOk(filesIn(folder).some((name) => name.includes(id)))
    }
    const { publicKey } = await vault.generate('lease', noted)
    await vault.addPair('lease', made('lease.private'), noted)
    await vault.add('oats', publicOf('oats'), noted)
    t.strictSame(seen, [publicKey.id, idOf('lease'), idOf('oats')])
    await vault.addPair('lease', made('lease.private'), noted)
    await vault.add('oats', publicOf('oats'), noted)
    await t.rejects(vault.add('lease', publicOf('oats'), noted), { code: 'REFUSED' })
    t.equal(seen.length, 3, 'what is not taken is not noted')
    const before = filesIn(folder)
    const full = async () => Promise.reject(new Error('the log is full'))
    await t.rejects(vault.generate('lease', full), { message: 'the log is full' })
    await t.rejects(vault.addPair('server', made('server.private'), full), { message: 'the log is full' })
    await t.rejects(vault.add('lease', publicOf('region'), full), { message: 'the log is full' })
    t.strictSame(filesIn(folder), before)
    t.equal(vault.list().length, 3)
  },
)
