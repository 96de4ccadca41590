import { spawnSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { derOf, parsePair, parsePublic } from '../../../plugins/keyring/keys/pair.js'
import type { PublicKey } from '../../../plugins/keyring/wire/key.js'
import { idOf } from '../../support/keyring/filled-vault.js'
import { made } from '../../support/keyring/key-files.js'
import { needs } from '../../support/needs.js'
import { runs } from '../../support/rounds.js'
import { temporaryDirectorySync } from '../../support/temporary-directory.js'

t.setTimeout(300_000)

t.test('what a laptop would not take is refused, with how to turn it into what it takes', (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const refusedPairs: [string, string | Buffer, RegExp][] = [
    [
      'PKCS#8',
      privateKey.export({ type: 'pkcs8', format: 'der' }),
      /PKCS#8.*openssl rsa -inform DER .*-traditional/,
    ],
    [
      'PEM of PKCS#8',
      privateKey.export({ type: 'pkcs8', format: 'pem' }),
      /PEM.*openssl rsa -inform PEM .*-traditional/,
    ],
    ['PEM of PKCS#1', privateKey.export({ type: 'pkcs1', format: 'pem' }), /PEM.*-traditional -outform DER/],
    ['a public key', made('lease.public'), /is no private RSA key/],
    ['nothing', Buffer.alloc(0), /is no private RSA key/],
    ['zeros', Buffer.alloc(1190), /is no private RSA key/],
    [
      'a spare byte',
      Buffer.concat([made('lease.private'), Buffer.from([0])]),
      /no DER as makekey writes it|no private RSA/,
    ],
    ['a key of ssh', '-----BEGIN OPENSSH PRIVATE KEY-----\n', /key of ssh/],
  ]
  for (const bits of [1024, 3072]) {
    const other = generateKeyPairSync('rsa', { modulusLength: bits })
    refusedPairs.push([`${bits} bits`, other.privateKey.export({ type: 'pkcs1', format: 'der' }), /2048/])
  }
  const three = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 })
  refusedPairs.push([
    'exponent 3',
    three.privateKey.export({ type: 'pkcs1', format: 'der' }),
    /exponent 3, not/,
  ])
  for (const [what, bytes, says] of refusedPairs)
    t.throws(() => parsePair(Buffer.from(bytes)), { message: says }, what)

  const refusedPublics: [string, string | Buffer, RegExp][] = [
    [
      'SPKI',
      publicKey.export({ type: 'spki', format: 'der' }),
      /SPKI.*-pubin -inform DER .*-RSAPublicKey_out/,
    ],
    [
      'PEM of SPKI',
      publicKey.export({ type: 'spki', format: 'pem' }),
      /PEM.*-pubin -inform PEM .*-RSAPublicKey_out/,
    ],
    [
      'PEM of PKCS#1',
      publicKey.export({ type: 'pkcs1', format: 'pem' }),
      /PEM.*-RSAPublicKey_in -inform PEM/,
    ],
    ['a private key', made('lease.private'), /has 11\d\d bytes/],
    ['a key of ssh', 'ssh-rsa AAAA', /key of ssh/],
    ['exponent 3', three.publicKey.export({ type: 'pkcs1', format: 'der' }), /268 bytes/],
  ]
  for (const [what, bytes, says] of refusedPublics)
    t.throws(() => parsePublic(Buffer.from(bytes)), { message: says }, what)
  t.end()
})

t.test('the advice for other forms is right: openssl does as it says', (t) => {
  if (!needs(t, 'openssl', 'openssl')) return t.end()
  const folder = temporaryDirectorySync(t)
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const given: [string, string | Buffer, (bytes: Buffer) => PublicKey][] = [
    ['a', privateKey.export({ type: 'pkcs8', format: 'der' }), (bytes) => parsePair(bytes).publicKey],
    ['b', privateKey.export({ type: 'pkcs8', format: 'pem' }), (bytes) => parsePair(bytes).publicKey],
    ['c', publicKey.export({ type: 'spki', format: 'der' }), parsePublic],
    ['d', publicKey.export({ type: 'spki', format: 'pem' }), parsePublic],
    ['e', publicKey.export({ type: 'pkcs1', format: 'pem' }), parsePublic],
  ]
  for (const [name, bytes, parse] of given) {
    writeFileSync(join(folder, name), bytes)
    let advice = ''
    try {
      parse(Buffer.from(bytes))
    } catch (error) {
      advice = /"openssl (.*)"/.exec((error as Error).message)?.[1] ?? ''
    }
    const words = advice
      .split(' ')
      .map((word) => (word === 'FILE' ? name : word.replace('NAME', `${name}-new`)))
    t.equal(spawnSync('openssl', words, { cwd: folder }).status, 0, advice)
    const [made = ''] = readdirSync(folder).filter((one) => one.startsWith(`${name}-new`))
    const der = publicKey.export({ type: 'pkcs1', format: 'der' })
    t.ok(parse(readFileSync(join(folder, made))).der.equals(der), made)
  }
  t.end()
})

t.test('a key with any number of another is refused, though OpenSSL takes it', (t) => {
  const [one, other] = ['lease', 'region'].map((name) =>
    createPrivateKey({ key: made(`${name}.private`), format: 'der', type: 'pkcs1' }).export({
      format: 'jwk',
    }),
  )
  let taken = 0
  for (const part of ['n', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
    try {
      const mixed = createPrivateKey({ key: { ...one, [part]: other?.[part] } as never, format: 'jwk' })
      const der = derOf(mixed)
      taken += 1
      t.throws(() => parsePair(der), { message: /do not belong together|makekey writes/ }, part)
    } catch {
      t.pass(`${part}: not even OpenSSL takes it`)
    }
  }
  t.ok(taken > 0)
  t.end()
})

t.test('a private key with any one byte changed is never taken for the key it was', (t) => {
  const der = made('lease.private')
  const id = idOf('lease')
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const changed = Buffer.from(der)
      changed[at] = (changed[at] ?? 0) ^ by
      try {
        return parsePair(changed).publicKey.id !== id
      } catch (error) {
        // In words of ours, which hold nothing of it.
        return /^(?:is|has) [^\n]{10,200}$/.test((error as Error).message)
      }
    }),
    runs(300),
  )
  t.end()
})
