import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { PublicKey } from '../wire/key.js'
import { pss } from '../wire/signature.js'
import { foreignForm } from './form.js'

/** A private key that laptops and the tools of bios-crypto take, and its public half. */
export interface Pair {
  readonly publicKey: PublicKey
  readonly object: KeyObject
}

/**
 * Reads a `.private` file: a PKCS#1 RSAPrivateKey of 2048 bits with the exponent 65537, whose numbers belong together.
 * Source: docs/reference/protocols.md: Anti-theft, Keys.
 * @throws Error that says what is wrong with it, and holds nothing of the key
 */
export function parsePair(bytes: Uint8Array): Pair {
  const foreign = foreignForm(bytes)
  if (foreign !== undefined) throw new Error(foreign)
  const object = objectOf(bytes)
  const { modulusLength, publicExponent } = object.asymmetricKeyDetails ?? {}
  if (modulusLength !== 2048 || publicExponent !== 65537n)
    throw new Error(
      `is an RSA key of ${modulusLength} bits with the exponent ${publicExponent}, not of 2048 with 65537`,
    )
  const again = derOf(object)
  const isSame = again.equals(bytes)
  again.fill(0)
  // Spare bytes behind it, or numbers written longer than they are: the tools would write another file.
  if (!isSame) throw new Error('is no DER as makekey writes it: read and written again it is another')
  if (!belongTogether(object)) throw new Error('has numbers that do not belong together')
  const der = createPublicKey(object).export({ type: 'pkcs1', format: 'der' })
  return { publicKey: PublicKey.parse(der), object }
}

/** Reads a `.public` file. @throws Error that says what is wrong with it */
export function parsePublic(bytes: Uint8Array): PublicKey {
  const foreign = foreignForm(bytes)
  if (foreign !== undefined) throw new Error(foreign)
  return PublicKey.parse(bytes)
}

/** A `.private` file's bytes. @returns a buffer for the caller to wipe */
export const derOf = (object: KeyObject): Buffer => object.export({ type: 'pkcs1', format: 'der' })

function objectOf(bytes: Uint8Array): KeyObject {
  try {
    // Bounded first: a laptop's key has 1,188 to 1,193 bytes.
    if (bytes.length > 1000 && bytes.length < 1400) {
      const key = createPrivateKey({
        key: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
        format: 'der',
        type: 'pkcs1',
      })
      if (key.asymmetricKeyType === 'rsa') return key
    }
  } catch {
    // What OpenSSL says of it helps nobody.
  }
  throw new Error('is no private RSA key of 2048 bits in PKCS#1 form')
}

/** OpenSSL itself takes a key whose halves are those of two different ones. */
function belongTogether(object: KeyObject): boolean {
  const numbers = object.export({ format: 'jwk' })
  const [n, e, d, p, q, dp, dq, qi] = [
    ...[numbers.n, numbers.e, numbers.d, numbers.p],
    ...[numbers.q, numbers.dp, numbers.dq, numbers.qi],
  ].map((text) => BigInt(`0x0${Buffer.from(text ?? '', 'base64url').toString('hex')}`)) as [
    ...[bigint, bigint, bigint, bigint],
    ...[bigint, bigint, bigint, bigint],
  ]
  if (p < 3n || q < 3n || p * q !== n) return false
  const exponents = (e * d) % (p - 1n) === 1n && (e * d) % (q - 1n) === 1n
  const remainders = dp === d % (p - 1n) && dq === d % (q - 1n) && (qi * q) % p === 1n
  return exponents && remainders && signs(object)
}

function signs(object: KeyObject): boolean {
  try {
    const text = Buffer.from('does this pair belong together?')
    const signature = sign('sha256', text, { key: object, ...pss })
    return verify('sha256', text, { key: createPublicKey(object), ...pss }, signature)
  } catch {
    return false
  }
}
