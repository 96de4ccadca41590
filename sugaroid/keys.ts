import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { BIT_STRING, INTEGER, OCTET_STRING, readDer, SEQUENCE, writeDer } from './der.js'

export const keyTypes = ['dsa', 'rsa', 'ecdsa', 'ed25519'] as const
export type KeyType = (typeof keyTypes)[number]

/** An OpenSSH public key: `name` such as `ssh-dss`, `blob` in base64 (580 characters for DSA-1024). */
export interface PublicKey {
  readonly name: string
  readonly blob: string
}

const generate = promisify(generateKeyPair)
const armour = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+?)-----END OPENSSH PRIVATE KEY-----/
const magic = Buffer.from('openssh-key-v1\0')

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

// The `string` and `mpint` of RFC 4251, section 5.
const string = (value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint32(bytes.length), bytes])
}
const mpint = (magnitude: Buffer): Buffer =>
  string((magnitude[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.alloc(1), magnitude]) : magnitude)

function readString(bytes: Buffer, at: number): Buffer {
  return bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at))
}

function nested(bytes: Buffer, tag: number): Buffer {
  const found = readDer(bytes).find((element) => element.tag === tag)
  if (!found) throw new Error(`no element ${tag} in the key`)
  return found.content
}

const integers = (bytes: Buffer): Buffer[] =>
  readDer(bytes)
    .filter(({ tag }) => tag === INTEGER)
    .map(({ content }) => content)

/** p, q, g and y of a DSA key: in DER an INTEGER's content is the very bytes of an ssh mpint. */
function dsaNumbers(key: KeyObject): Buffer[] {
  const spki = nested(key.export({ type: 'spki', format: 'der' }), SEQUENCE)
  const parameters = nested(nested(spki, SEQUENCE), SEQUENCE)
  const y = nested(spki, BIT_STRING).subarray(1) // the first byte counts the unused bits
  return [...integers(parameters), ...integers(y)]
}

function blobOf(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'dsa') {
    return Buffer.concat([string('ssh-dss'), ...dsaNumbers(key).map(string)])
  }
  const { crv, n = '', e = '', x = '', y = '' } = key.export({ format: 'jwk' })
  const bytes = (field: string) => Buffer.from(field, 'base64url')
  switch (crv) {
    case undefined:
      return Buffer.concat([string('ssh-rsa'), mpint(bytes(e)), mpint(bytes(n))])
    case 'Ed25519':
      return Buffer.concat([string('ssh-ed25519'), string(bytes(x))])
    default: {
      const curve = crv.replace('P-', 'nistp')
      const point = Buffer.concat([Buffer.of(4), bytes(x), bytes(y)])
      return Buffer.concat([string(`ecdsa-sha2-${curve}`), string(curve), string(point)])
    }
  }
}

/** The name is read from inside the blob: the word in front of it proves nothing. */
function publicKeyOf(blob: Buffer): PublicKey {
  return { name: readString(blob, 0).toString('latin1'), blob: blob.toString('base64') }
}

function pem(label: string, bytes: Buffer, columns: number): string {
  const lines = bytes.toString('base64').match(new RegExp(`.{1,${columns}}`, 'g')) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/** Traditional PEM, the form of DSA keys that every OpenSSH with DSA reads: 0, p, q, g, y, x. */
function dsaPem(key: KeyObject): string {
  const pkcs8 = nested(key.export({ type: 'pkcs8', format: 'der' }), SEQUENCE)
  const x = integers(nested(pkcs8, OCTET_STRING))
  const numbers = [Buffer.alloc(1), ...dsaNumbers(createPublicKey(key)), ...x]
  return pem('DSA PRIVATE KEY', writeDer(SEQUENCE, ...numbers.map((n) => writeDer(INTEGER, n))), 64)
}

/** OpenSSH reads Ed25519 keys in its own form only (PROTOCOL.key); unencrypted, with an empty comment. */
function ed25519Pem(key: KeyObject, blob: Buffer): string {
  const { d = '', x = '' } = key.export({ format: 'jwk' })
  const point = Buffer.from(x, 'base64url')
  const seed = Buffer.from(d, 'base64url')
  const check = randomBytes(4)
  const secret = [check, check, string('ssh-ed25519'), string(point), string(Buffer.concat([seed, point]))]
  const plain = Buffer.concat([...secret, string('')])
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, -plain.length & 7))
  const cipher = [string('none'), string('none'), string('')]
  const body = [magic, ...cipher, uint32(1), string(blob), string(Buffer.concat([plain, padding]))]
  return pem('OPENSSH PRIVATE KEY', Buffer.concat(body), 70)
}

async function newKey(type: KeyType): Promise<KeyObject> {
  switch (type) {
    case 'dsa':
      return (await generate('dsa', { modulusLength: 1024, divisorLength: 160 })).privateKey
    case 'rsa':
      return (await generate('rsa', { modulusLength: 3072 })).privateKey
    case 'ecdsa':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey
    case 'ed25519':
      return (await generate('ed25519')).privateKey
  }
}

function privatePem(key: KeyObject, type: KeyType, blob: Buffer): string {
  switch (type) {
    case 'dsa':
      return dsaPem(key)
    case 'rsa':
      return String(key.export({ type: 'pkcs1', format: 'pem' }))
    case 'ecdsa':
      return String(key.export({ type: 'sec1', format: 'pem' }))
    case 'ed25519':
      return ed25519Pem(key, blob)
  }
}

/**
 * What `ssh-keygen -q -t TYPE -C '' -N ''` would make (DSA-1024, RSA-3072, P-256, Ed25519), without the
 * program: it may be missing, and since OpenSSH 10 it knows no DSA, which every Sugar uses to this day.
 */
export async function generateKey(type: KeyType): Promise<{ privateKey: string; publicKey: PublicKey }> {
  const key = await newKey(type)
  const blob = blobOf(createPublicKey(key))
  return { privateKey: privatePem(key, type, blob), publicKey: publicKeyOf(blob) }
}

/** The public half of an unencrypted private key, in PEM or in OpenSSH's own form. Throws on anything else. */
export function publicHalf(privateKey: string): PublicKey {
  const [, body] = armour.exec(privateKey) ?? []
  if (body === undefined) return publicKeyOf(blobOf(createPublicKey(createPrivateKey(privateKey))))
  const bytes = Buffer.from(body, 'base64')
  if (!bytes.subarray(0, magic.length).equals(magic)) throw new Error('not an openssh-key-v1')
  let at = magic.length
  for (let skipped = 0; skipped < 3; skipped++) at += 4 + readString(bytes, at).length // cipher, kdf, options
  return publicKeyOf(readString(bytes, at + 4))
}

/** The line of `owner.key.pub`: as ssh-keygen writes it, the space before an empty comment included. */
export function publicLine({ name, blob }: PublicKey): string {
  return `${name} ${blob} \n`
}

/** The type as `--key` calls it; undefined for one that sugaroid cannot make. */
export function keyTypeOf({ name }: PublicKey): KeyType | undefined {
  if (name === 'ssh-dss') return 'dsa'
  return keyTypes.find((type) => name === `ssh-${type}` || name.startsWith(`${type}-sha2-`))
}
