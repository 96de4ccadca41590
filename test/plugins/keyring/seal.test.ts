import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readPassphrase } from '../../../plugins/keyring/keys/passphrase.js'
import { Seal } from '../../../plugins/keyring/keys/seal.js'
import { Vault } from '../../../plugins/keyring/keys/vault.js'
import { facts, filesIn, filled, idOf, names, phrase } from '../../support/keyring/filled-vault.js'
import { made } from '../../support/keyring/key-files.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('a passphrase seals what is plain, and what comes later', async (t) => {
  const { folder } = await filled(t, 'lease', 'region')
  const privates = () => filesIn(folder).filter((path) => path.endsWith('.private'))
  t.ok(privates().every((path) => readFileSync(path)[0] === 0x30))
  const given = phrase()
  const vault = await Vault.open(folder, { passphrase: given })
  t.ok(given.equals(Buffer.alloc(given.length)), 'the passphrase is wiped')
  await vault.addPair('server', made('server.private'))
  await vault.generate('oats')
  t.equal(privates().length, 4)
  for (const path of privates()) {
    const bytes = readFileSync(path)
    t.equal(bytes.toString('latin1', 0, 8), 'sealed1\n')
    t.notOk(bytes.includes(made('lease.private').subarray(300, 316)))
    t.equal(statSync(path).mode & 0o777, 0o600)
  }
  const salts = new Set(privates().map((path) => readFileSync(path).toString('hex', 9, 25)))
  t.equal(salts.size, 1, 'a start derives once')
  const nonces = new Set(privates().map((path) => readFileSync(path).toString('hex', 41, 53)))
  t.equal(nonces.size, 4)
  const again = await Vault.open(folder, { passphrase: phrase() })
  t.strictSame(facts(again), facts(vault))
  t.ok(again.privateDer(idOf('lease')).equals(made('lease.private')))
  t.strictSame(again.notes, [])
})

t.test('ten sealed keys are opened in the time of one', async (t) => {
  const { folder } = await filled(t)
  const vault = await Vault.open(folder, { passphrase: phrase() })
  for (const name of names) await vault.addPair('lease', made(`${name}.private`))
  for (let count = 0; count < 3; count += 1) await vault.generate('lease')
  const began = performance.now()
  await Seal.make(phrase())
  const once = performance.now() - began
  const opening = performance.now()
  t.equal((await Vault.open(folder, { passphrase: phrase() })).list().length, 10)
  const lasted = performance.now() - opening
  t.comment(`deriving takes ${Math.round(once)} ms, a start ${Math.round(lasted)} ms`)
  t.ok(lasted < 5 * once + 1000)
})

t.test('a wrong passphrase, or none, is refused before anything is written', async (t) => {
  const { folder } = await filled(t, 'lease')
  await Vault.open(folder, { passphrase: phrase() })
  const sealed = readFileSync(join(folder, 'lease', `${idOf('lease')}.private`))
  // One that came later, in plain.
  writeFileSync(join(folder, 'lease', `${idOf('region')}.private`), made('region.private'), { mode: 0o600 })
  const before = filesIn(folder).map((path) => [path, readFileSync(path, 'hex')])
  await t.rejects(Vault.open(folder, { passphrase: Buffer.from('one for the schoo1') }), {
    code: 'CONFIG_INVALID',
    message: /does not open/,
    hint: /passphrase/,
  })
  await t.rejects(Vault.open(folder), {
    code: 'CONFIG_INVALID',
    hint: /keyring-passphrase-file again.*export --private/,
  })
  t.strictSame(
    filesIn(folder).map((path) => [path, readFileSync(path, 'hex')]),
    before,
  )
  t.match(facts(await Vault.open(folder, { passphrase: phrase() })), [
    { hasPrivate: true },
    { hasPrivate: true },
  ])
  t.ok(
    readFileSync(join(folder, 'lease', `${idOf('lease')}.private`)).equals(sealed),
    'what was sealed stays as it is',
  )
})

t.test('a sealed key opens in its place alone, and not with a bit changed', async (t) => {
  const seal = await Seal.make(phrase())
  const plain = made('lease.private')
  const sealed = seal.close(plain, 'lease/a')
  t.ok(seal.open(sealed, 'lease/a').equals(plain))
  t.throws(() => seal.open(sealed, 'oats/a'), { message: /changed/ })
  const other = await Seal.of(sealed, phrase())
  t.ok(other.open(sealed, 'lease/a').equals(plain))
  await t.rejects(Seal.of(sealed, Buffer.from('something else')), { message: /another passphrase/ })
  const greedy = Buffer.from(sealed)
  greedy[8] = 40
  await t.rejects(
    Seal.of(greedy, phrase()),
    { message: /no sealed key/ },
    'nor may a file ask for all memory',
  )
  await t.rejects(Seal.of(sealed.subarray(0, 60), phrase()), { message: /no sealed key/ })
  fc.assert(
    fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
      const changed = Buffer.from(sealed)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        // With a bit of the mark, the cost or the salt changed it is a file of another seal.
        return !seal.fits(changed) || seal.open(changed, 'lease/a') === undefined
      } catch {
        return true
      }
    }),
    { examples: [[72 + 8], [30 * 8], [41 * 8], [60 * 8], [200 * 8]] },
  )
})

t.test('one damaged file among sealed ones is said, and the others serve', async (t) => {
  const { folder } = await filled(t, 'lease', 'region')
  await Vault.open(folder, { passphrase: phrase() })
  const path = join(folder, 'lease', `${idOf('lease')}.private`)
  for (const at of [20, 30, 100]) {
    const whole = readFileSync(path)
    const bytes = Buffer.from(whole)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path, bytes)
    const vault = await Vault.open(folder, { passphrase: phrase() })
    t.match(vault.notes, [/private key lease\/.* was (?:changed|sealed under another)/], `byte ${at}`)
    t.match(facts(vault), [{ hasPrivate: false }, { hasPrivate: true }])
    t.ok(readFileSync(path).equals(bytes), 'and left as it is')
    writeFileSync(path, whole)
  }
})

t.test('the passphrase is one line of a file that nobody else can read', async (t) => {
  const folder = temporaryDirectorySync(t)
  const path = join(folder, 'passphrase')
  const write = (text: string | Buffer, mode = 0o600) => {
    rmSync(path, { force: true })
    writeFileSync(path, text, { mode })
  }
  for (const [text, read] of [
    ['12345678', '12345678'],
    ['with blanks in it \n', 'with blanks in it '],
    ['from Windows\r\n', 'from Windows'],
    ['ñandú ñandú', 'ñandú ñandú'],
  ] as const) {
    write(text)
    t.equal((await readPassphrase(path)).toString(), read)
  }
  for (const [text, says] of [
    ['1234567\n', /fewer than 8/],
    ['ññññ', /fewer than 8/],
    ['', /fewer than 8/],
    ['two lines\nof text\n', /more than one line/],
    ['a\0b and more', /more than one line/],
    ['x'.repeat(5000), /longer than 4096/],
  ] as const) {
    write(text)
    const error = await readPassphrase(path).catch((thrown: Error) => thrown)
    t.match(error, { code: 'CONFIG_INVALID', message: says })
    t.notMatch((error as Error).message, /two lines|xxxxx/)
  }
  write('12345678')
  for (const mode of [0o644, 0o640, 0o602]) {
    chmodSync(path, mode)
    await t.rejects(readPassphrase(path), { code: 'CONFIG_INVALID', hint: `protect it: chmod 600 ${path}` })
  }
  await t.rejects(readPassphrase(join(folder, 'none')), { code: 'NOT_FOUND', message: /ENOENT/ })
  await t.rejects(readPassphrase(folder), { message: /no regular file/ })
  rmSync(path)
  spawnSync('mkfifo', ['-m', '600', path])
  await t.rejects(readPassphrase(path), { message: /no regular file/ }, 'a pipe does not make it wait')
})
