import { generateKeyPairSync } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { boot, type TestHouse } from '../../../core/testing.js'
import keyring from '../../../plugins/keyring/plugin.js'
import { PublicKey } from '../../../plugins/keyring/wire/key.js'
import { made } from '../../support/keyring/key-files.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

const short = (name: string) => PublicKey.parse(made(`${name}.public`)).id.slice(0, 12)
const files = (...names: string[]) => names.map((path) => ({ path, bytes: made(path) }))

async function house(t: Test, settings: Record<string, string> = {}, root?: string): Promise<TestHouse> {
  const house = await boot({ plugins: [keyring], settings, ...(root !== undefined && { root }) })
  t.teardown(() => house.dispose())
  return house
}

const authority = { 'keyring-role': 'authority' }
const asLease = { options: { role: 'lease' } }
const audited = async (house: TestHouse) => {
  const { out } = await house.command(['keyring', 'audit'], { json: true })
  return (JSON.parse(out) as { what: string; key: string }[]).map(({ what, key }) =>
    `${what} ${key.slice(0, 12)}`.trim(),
  )
}
const listed = async (house: TestHouse) =>
  JSON.parse((await house.command(['keyring', 'list'], { json: true })).out) as Record<string, unknown>[]

t.test('keys of makekey are imported, listed, and exported byte for byte', async (t) => {
  const server = await house(t, authority)
  const folder = temporaryDirectorySync(t)
  const took = await server.command(['keyring', 'import'], {
    files: files('lease.public', 'lease.private', 'rogue.key01'),
    ...asLease,
  })
  t.match(took, {
    ended: { exit: 0 },
    out: /taken: pair .* of lease\.private and lease\.public\n.*taken: public key/s,
  })
  t.match(took.out, /2 taken, 0 as they were, 0 refused\n$/)
  const again = await server.command(['keyring', 'import'], {
    files: files('lease.public', 'lease.private', 'rogue.key01'),
    ...asLease,
  })
  t.match(again, { ended: { exit: 0 }, out: /0 taken, 2 as they were, 0 refused\n$/ })
  t.match(
    (await server.command(['keyring', 'list'])).out,
    new RegExp(`ROLE +ID +STATE +SIGNS +ADDED.*\nlease +${short('lease')} +active +yes`),
  )
  t.match(await listed(server), [
    { role: 'lease', state: 'active', signs: true, hasPrivate: true },
    { role: 'lease', signs: false, hasPrivate: false },
  ])
  const to = (name: string) => join(folder, name)
  const key = short('lease')
  const write = (options: Record<string, string>) =>
    server.command(['keyring', 'export'], { args: { key }, options })
  t.match(await write({ to: to('a.public') }), { ended: { exit: 0 } })
  t.match(await write({ to: to('a.private'), private: 'yes' }), {
    ended: { exit: 0 },
    err: /signs as this server/,
  })
  t.match(await write({ to: to('a.key01'), text: 'yes' }), { ended: { exit: 0 } })
  for (const half of ['public', 'private', 'key01']) {
    t.ok(readFileSync(to(`a.${half}`)).equals(made(`lease.${half}`)), half)
    t.equal(statSync(to(`a.${half}`)).mode & 0o777, 0o600)
  }
  t.equal((await write({ text: 'yes' })).out, made('lease.key01').toString())
  t.strictSame(await audited(server), [
    `keyring import ${short('lease')}`,
    `keyring import ${short('rogue')}`,
    `keyring export --private ${short('lease')}`,
  ])
})

t.test('export gives a private key only where that was said, and to a new file', async (t) => {
  const server = await house(t, authority)
  const folder = temporaryDirectorySync(t)
  await server.command(['keyring', 'import'], { files: files('lease.private', 'rogue.public'), ...asLease })
  const write = (key: string, options: Record<string, string>) =>
    server.command(['keyring', 'export'], { args: { key }, options })
  const key = short('lease')
  t.match(await write(key, {}), { ended: { exit: 64, hint: /--text/ }, out: '' })
  t.match(await write(key, { private: 'yes' }), { ended: { exit: 64 }, out: '' })
  t.match(await write(key, { private: 'yes', text: 'yes' }), { ended: { exit: 64 }, out: '' })
  const to = join(folder, 'there')
  writeFileSync(to, 'already')
  t.match(await write(key, { private: 'yes', to }), { ended: { code: 'REFUSED' } })
  t.equal(readFileSync(to, 'utf8'), 'already')
  t.match(await write(short('rogue'), { private: 'yes', to: join(folder, 'none') }), {
    ended: { code: 'NOT_FOUND' },
  })
  t.match(await write('beef', { text: 'yes' }), { ended: { code: 'NOT_FOUND', hint: /keyring list/ } })
  t.notOk(existsSync(join(folder, 'none')))
})

t.test('import says of each file what became of it', async (t) => {
  const server = await house(t, authority)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const took = await server.command(['keyring', 'import'], {
    files: [
      { path: 'README', bytes: Buffer.from('These are keys.\n') },
      { path: 'huge.iso', bytes: Buffer.alloc(1 << 20, 'x') },
      { path: 'mixed.public', bytes: made('lease.public') },
      { path: 'mixed.private', bytes: made('region.private') },
      { path: 'a/pem.private', bytes: Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })) },
      { path: 'a/long.public', bytes: Buffer.alloc(1 << 17) },
      {
        path: 'two.key01',
        bytes: Buffer.concat([made('oats.key01'), Buffer.from('\r\n'), made('rogue.key01')]),
      },
      { path: 'bad.key01', bytes: Buffer.from('key01: 3082\n') },
      { path: 'empty.key01', bytes: Buffer.alloc(0) },
      { path: 'stick/server.pri', bytes: made('server.private') },
      { path: 'stick/server.pub', bytes: made('server.public') },
      { path: 'nameless', bytes: made('developer.private') },
      { path: 'notes.constructor', bytes: Buffer.from('new Key()\n') },
    ],
    ...asLease,
  })
  t.equal(took.ended.exit, 65)
  for (const says of [
    /passed over: README is no key/,
    /passed over: huge\.iso/,
    /passed over: notes\.constructor/,
    /refused: mixed\.private and mixed\.public are halves of two different pairs/,
    /refused: a\/pem\.private is a PEM file; convert it with "openssl rsa/,
    /refused: a\/long\.public has 131072 bytes/,
    /refused: bad\.key01 is no "key01:" line/,
    /refused: empty\.key01 is empty/,
  ])
    t.match(took.err, says)
  for (const name of ['server', 'developer']) t.match(took.out, new RegExp(`taken: pair ${short(name)}`))
  for (const name of ['oats', 'rogue']) t.match(took.out, new RegExp(`taken: public key ${short(name)}`))
  t.match(took.out, /4 taken, 0 as they were, 5 refused/)
  t.equal((await listed(server)).length, 4, 'neither half of a pair that is none')
  t.match(
    await server.command(['keyring', 'import'], {
      files: files('server.private'),
      options: { role: 'server' },
    }),
    {
      ended: { exit: 65 },
      err: /refused: server\.private: .* is kept as a key for lease already/,
    },
  )
  t.match(await server.command(['keyring', 'import'], { files: [{ path: 'x', bytes: Buffer.from('x') }] }), {
    ended: { code: 'NOT_FOUND', message: 'there is no key in it' },
  })
  const many = Array.from({ length: 1001 }, (_, index) => ({
    path: `${index}.public`,
    bytes: made('lease.public'),
  }))
  t.match(await server.command(['keyring', 'import'], { files: many, ...asLease }), {
    ended: { code: 'REQUEST_TOO_LARGE' },
  })
})

t.test('a school is warned of master keys on its server, and of no others', async (t) => {
  const server = await house(t)
  const warning = /master key .* lies on a school server.*belongs offline/
  t.match(await server.command(['keyring', 'generate'], { args: { role: 'oats' } }), {
    ended: { exit: 0 },
    err: warning,
  })
  const own = await server.command(['keyring', 'generate'], { args: { role: 'server' } })
  t.notMatch(own.err, warning)
  t.match(own.err, /keyring export [0-9a-f]{12} --to server\.public/)
  t.match((await server.command(['keyring', 'import'], { files: files('lease.private') })).err, warning)
  t.notMatch(
    (await server.command(['keyring', 'import'], { files: files('rogue.public'), ...asLease })).err,
    warning,
  )
  t.match(await server.command(['keyring', 'list']), { out: /master key on a school server/, err: warning })
  t.match(await server.command(['keyring', 'generate'], { args: { role: 'king' } }), {
    ended: { exit: 64, hint: /lease, oats/ },
  })
  const other = await house(t, authority)
  t.notMatch((await other.command(['keyring', 'generate'], { args: { role: 'lease' } })).err, warning)
})

t.test('marking says what it means, and lasts', async (t) => {
  const root = temporaryDirectorySync(t)
  const first = await boot({ plugins: [keyring], settings: authority, root })
  await first.command(['keyring', 'import'], { files: files('lease.private', 'region.private'), ...asLease })
  const mark = (house: TestHouse, name: string, state: string) =>
    house.command(['keyring', 'mark'], { args: { key: short(name), state } })
  const leaked = await mark(first, 'region', 'compromised')
  t.match(leaked, {
    ended: { exit: 0 },
    out: /compromised: it signs no more, and nothing that it has signed counts here/,
  })
  t.match(leaked.err, /no longer given out.*new ones/)
  t.match(leaked.err, new RegExp(`${short('lease')} signs for lease now`))
  t.match((await mark(first, 'region', 'compromised')).out, /is compromised already/)
  t.match(await mark(first, 'lease', 'retired'), {
    out: /signs no more, and what it has signed still counts/,
    err: /no key of this server signs for lease/,
  })
  t.match(await mark(first, 'lease', 'lost'), { ended: { exit: 64, hint: /active, retired, compromised/ } })
  await first.dispose()
  const second = await house(t, authority, root)
  t.match(await listed(second), [
    { state: 'retired', signs: false },
    { state: 'compromised', signs: false },
  ])
  t.match((await mark(second, 'region', 'active')).err, /only if it was marked by mistake/)
  t.match((await audited(second)).slice(-3), [/mark compromised/, /mark retired/, /mark active/])
})

t.test('the audit log is shown, and its damage found', async (t) => {
  const root = temporaryDirectorySync(t)
  const server = await house(t, authority, root)
  await server.command(['keyring', 'import'], {
    files: files('lease.private', 'region.private', 'oats.private'),
    ...asLease,
  })
  const audit = (options: Record<string, string> = {}, json = false) =>
    server.command(['keyring', 'audit'], { options, json })
  t.match(
    (await audit({ last: '2' })).out,
    /^N +TIME \(UTC\).*\n2 +\d{4}-.*operator +keyring import.*\n3 .*\n$/,
  )
  t.match(await audit({ check: 'yes' }), { ended: { exit: 0 }, out: /^3 lines: none was removed/ })
  t.strictSame(JSON.parse((await audit({ check: 'yes' }, true)).out), { intact: true, lines: 3 })
  for (const last of ['0', '-1', '10001', 'all', '1e3', ''])
    t.match((await audit({ last })).ended, { exit: 64, message: /from 1 to 10000/ }, last)
  truncateSync(join(root, 'keyring', 'audit', 'log'), 10)
  t.match(await audit({ check: 'yes' }), { ended: { exit: 1 }, out: /^broken at line 1 \(changed\)/ })
  t.match(JSON.parse((await audit({ check: 'yes' }, true)).out), { intact: false, line: 1, what: 'changed' })
})

t.test(
  'where the audit log cannot be written, no private key leaves, and what is done all the same is said',
  async (t) => {
    const root = temporaryDirectorySync(t)
    const server = await house(t, authority, root)
    await server.command(['keyring', 'import'], { files: files('lease.private') })
    const log = join(root, 'keyring', 'audit', 'log')
    renameSync(log, `${log}.1`)
    mkdirSync(log)
    const to = join(temporaryDirectorySync(t), 'lease.private')
    const key = short('lease')
    const leaving = await server.command(['keyring', 'export'], {
      args: { key },
      options: { private: 'yes', to },
    })
    t.match(leaving.ended, { code: 'NOT_WRITABLE', message: /EISDIR/ })
    t.notOk(existsSync(to))
    t.match((await server.command(['keyring', 'clock'], { options: { accept: 'yes' } })).ended, {
      code: 'NOT_WRITABLE',
    })
    for (const [words, given] of [
      [['keyring', 'generate'], { args: { role: 'oats' } }],
      [['keyring', 'import'], { files: files('region.private'), options: { role: 'lease' } }],
    ] as const)
      t.match((await server.command([...words], given)).ended, { code: 'NOT_WRITABLE' }, words.join(' '))
    t.equal((await listed(server)).length, 1, 'no key comes without a line of the log')
    const marked = await server.command(['keyring', 'mark'], { args: { key, state: 'compromised' } })
    t.match(marked, { ended: { exit: 0 }, err: /done, but the audit log does not say so/ })
    t.match(await listed(server), [{ state: 'compromised' }])
    rmSync(log, { recursive: true })
    renameSync(`${log}.1`, log)
    t.match((await server.command(['keyring', 'mark'], { args: { key, state: 'active' } })).ended, {
      exit: 0,
    })
    t.match(await audited(server), [/import/, /mark active/])
    t.match((await server.command(['keyring', 'audit'], { options: { check: 'yes' } })).ended, { exit: 0 })
  },
)

t.test('the clock is shown, and accepted', async (t) => {
  const server = await house(t)
  const { out, ended } = await server.command(['keyring', 'clock'])
  t.equal(ended.exit, 0)
  t.match(
    out,
    /^signing {7}yes\nclock .* UTC\nmade {10}2026-.*\nhighest seen .*\nlast signed {3}none yet\nsynchronised {2}was not asked\n$/,
  )
  t.match(JSON.parse((await server.command(['keyring', 'clock'], { json: true })).out), {
    now: String,
    built: String,
  })
  t.match((await server.command(['keyring', 'clock'], { options: { accept: 'yes' } })).ended, { exit: 0 })
  t.strictSame(await audited(server), ['keyring clock --accept'])
})

t.test('a passphrase of which the file says nothing good fails the keyring, and not the house', async (t) => {
  const root = temporaryDirectorySync(t)
  const path = join(temporaryDirectorySync(t), 'passphrase')
  const settings = { ...authority, 'keyring-passphrase-file': path }
  const state = async (given: Record<string, string>) => {
    const house = await boot({ plugins: ['id', keyring], settings: given, root })
    const { plugins } = await house.status()
    const took = await house.command(['keyring', 'import'], { files: files('lease.private') })
    await house.dispose()
    return { plugins: JSON.stringify(plugins), ended: took.ended }
  }
  writeFileSync(path, 'correct horse\n', { mode: 0o600 })
  t.match(await state(settings), { plugins: /"running"/, ended: { exit: 0 } })
  writeFileSync(path, 'battery staple\n')
  t.match(await state(settings), {
    plugins: /"failed".*does not open the private key/,
    ended: { code: 'UNAVAILABLE' },
  })
  t.match(await state(authority), {
    plugins: /"failed".*kept under a passphrase.*keyring-passphrase-file again/,
  })
  const open = join(temporaryDirectorySync(t), 'open')
  writeFileSync(open, 'correct horse\n', { mode: 0o644 })
  t.match(await state({ ...settings, 'keyring-passphrase-file': open }), {
    plugins: /"failed".*other users.*chmod 600/,
  })
  writeFileSync(path, 'correct horse\n')
  t.match(await state(settings), { plugins: /"running"/, ended: { exit: 0 } })
})
