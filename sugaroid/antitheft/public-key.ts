import { createPublicKey, type KeyObject } from 'node:crypto'

/** A public key of anti-theft. Facts: docs/reference/protocols.md: Anti-theft, Keys. */
export interface AntitheftKey {
  /** The last 32 bytes of the file, 64 lower-case hex digits. */
  readonly id: string
  /** The whole file, 540 lower-case hex digits. */
  readonly hex: string
  readonly object: KeyObject
}

/** The DER of a PKCS#1 RSAPublicKey with 2048 bits and the exponent 65537, and of no other key. */
const form = /^3082010a0282010100[89a-f][0-9a-f]{511}0203010001$/

/** @returns undefined for hex digits that are no key a laptop can have */
export function keyOfHex(hex: string): AntitheftKey | undefined {
  if (!form.test(hex)) return undefined
  const object = createPublicKey({ key: Buffer.from(hex, 'hex'), format: 'der', type: 'pkcs1' })
  return { id: hex.slice(-64), hex, object }
}

/**
 * Reads a public key as a file holds it: raw DER, or the line `key01: HEX`.
 * @returns undefined for anything else, as a laptop drops it
 */
export function readAntitheftKey(file: Buffer): AntitheftKey | undefined {
  if (file.length === 270) return keyOfHex(file.toString('hex'))
  const text = file.subarray(0, 600).toString('latin1')
  const [, hex] = /^key01: ([0-9a-f]{540})\n?$/.exec(text) ?? []
  return hex === undefined ? undefined : keyOfHex(hex)
}

/** A key as text, the LF at its end included: what a delegation signs. */
export const key01 = (hex: string): string => `key01: ${hex}\n`
