import { createPublicKey, type KeyObject } from 'node:crypto'

/** Bytes of a `.public` file: a PKCS#1 RSAPublicKey of 2048 bits with the exponent 65537. Laptops take no other. */
export const publicLength = 270

const head = Buffer.from('3082010a0282010100', 'hex')
const tail = Buffer.from('0203010001', 'hex')

/**
 * A public key as laptops know it.
 * Source: docs/reference/protocols.md: Anti-theft, Keys.
 */
export class PublicKey {
  /** Exactly 270 bytes. */
  readonly der: Buffer
  /** All of it in hex: 540 digits. */
  readonly hex: string
  /** Its last 32 bytes in hex: 64 digits, by which lines name it. */
  readonly id: string
  #object: KeyObject | undefined

  private constructor(der: Buffer) {
    this.der = der
    this.hex = der.toString('hex')
    this.id = this.hex.slice(-64)
  }

  /** @throws Error that says what is wrong with it */
  static parse(bytes: Uint8Array): PublicKey {
    if (bytes.length !== publicLength)
      throw new Error(`has ${bytes.length} bytes, where a laptop takes exactly ${publicLength}`)
    const der = Buffer.from(bytes)
    if (!der.subarray(0, 9).equals(head) || !der.subarray(-5).equals(tail))
      throw new Error('is no RSA key of 2048 bits with the exponent 65537 in PKCS#1 form')
    const modulus = der.subarray(9, 265)
    if ((modulus[0] ?? 0) < 0x80 || ((modulus[255] ?? 0) & 1) === 0)
      throw new Error('has a modulus that is not of 2048 bits')
    return new PublicKey(der)
  }

  /** @param hex 540 digits, lower case @throws Error that says what is wrong with it */
  static fromHex(hex: string): PublicKey {
    if (!/^[0-9a-f]{540}$/.test(hex)) throw new Error('is no key of 540 hex digits in lower case')
    return PublicKey.parse(Buffer.from(hex, 'hex'))
  }

  /** @param text `key01: <540 hex>`, a line end behind it or not @throws Error that says what is wrong with it */
  static fromKey01(text: string): PublicKey {
    const found = /^key01: ([0-9a-f]{540})\r?\n?$/.exec(text)
    if (found?.[1] === undefined) throw new Error('is no "key01:" line with 540 hex digits')
    return PublicKey.fromHex(found[1])
  }

  /** `key01: <540 hex>` with its line end, which delegations sign too. */
  get key01(): string {
    return `key01: ${this.hex}\n`
  }

  /** For node:crypto. Made when it is first asked for, and kept. */
  get object(): KeyObject {
    this.#object ??= createPublicKey({ key: this.der, format: 'der', type: 'pkcs1' })
    return this.#object
  }

  equals(other: PublicKey): boolean {
    return this.hex === other.hex
  }
}
