import { createCipheriv, createDecipheriv, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/**
 * How a private key lies on the disk under a passphrase:
 *
 * | bytes | |
 * |---|---|
 * | 8 | `sealed1\n`; a plain DER begins with 30 82 |
 * | 1 | binary logarithm of scrypt's N (r = 8, p = 1) |
 * | 16 | scrypt's salt |
 * | 16 | proof: the second half of what scrypt gave, shortened; tells a wrong passphrase from a damaged file |
 * | 12 | nonce |
 * | 16 | tag of AES-256-GCM, which covers all before the nonce and the key's place, `ROLE/ID` |
 * | rest | the DER, encrypted under the first 32 bytes of what scrypt gave |
 *
 * Each file can be opened by itself. All that are made under one passphrase in one store share their salt, so that a
 * start derives once and not once a key.
 */
const mark = Buffer.from('sealed1\n', 'latin1')
const headLength = mark.length + 1 + 16
const at = {
  proof: headLength,
  nonce: headLength + 16,
  tag: headLength + 28,
  content: headLength + 44,
} as const

const cost = 16
/** A file that says otherwise could make a start take minutes, or all memory. */
const costs = { least: 15, most: 20 } as const

export const isSealed = (bytes: Uint8Array): boolean => mark.equals(bytes.subarray(0, mark.length))

/** A passphrase, derived for one salt. */
export class Seal {
  /** What a file begins with that this opens: mark, cost and salt. */
  readonly #head: Buffer
  readonly #key: Buffer
  readonly #proof: Buffer

  private constructor(head: Buffer, derived: Buffer) {
    this.#head = head
    this.#key = derived.subarray(0, 32)
    this.#proof = derived.subarray(32)
  }

  /** With a new salt. */
  static async make(passphrase: Uint8Array): Promise<Seal> {
    const head = Buffer.concat([mark, Buffer.from([cost]), randomBytes(16)])
    return new Seal(head, await derived(passphrase, head))
  }

  /**
   * With the salt of a file that is there.
   * @throws Error when the passphrase is not the one it was made with, or the file is damaged
   */
  static async of(sealed: Buffer, passphrase: Uint8Array): Promise<Seal> {
    const log2 = sealed[mark.length] ?? 0
    if (!isSealed(sealed) || sealed.length <= at.content || log2 < costs.least || log2 > costs.most)
      throw new Error('is no sealed key')
    const head = Buffer.from(sealed.subarray(0, headLength))
    const seal = new Seal(head, await derived(passphrase, head))
    if (!timingSafeEqual(seal.#proof, sealed.subarray(at.proof, at.nonce)))
      throw new Error('was sealed under another passphrase')
    return seal
  }

  /** Whether it was made for the salt of this file. */
  fits(sealed: Uint8Array): boolean {
    return this.#head.equals(sealed.subarray(0, headLength))
  }

  /** @param place `ROLE/ID`: in another the file does not open */
  close(plain: Uint8Array, place: string): Buffer {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    const before = Buffer.concat([this.#head, this.#proof])
    cipher.setAAD(Buffer.concat([before, Buffer.from(place)]))
    const content = Buffer.concat([cipher.update(plain), cipher.final()])
    return Buffer.concat([before, nonce, cipher.getAuthTag(), content])
  }

  /**
   * @returns a buffer for the caller to wipe
   * @throws Error when a bit of it was changed
   */
  open(sealed: Buffer, place: string): Buffer {
    const nonce = sealed.subarray(at.nonce, at.tag)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: 16 })
    decipher.setAAD(Buffer.concat([sealed.subarray(0, at.nonce), Buffer.from(place)]))
    decipher.setAuthTag(sealed.subarray(at.tag, at.content))
    const plain = decipher.update(sealed.subarray(at.content))
    try {
      decipher.final()
      return plain
    } catch {
      plain.fill(0)
      throw new Error('was changed since it was sealed')
    }
  }
}

/** 32 bytes of key, 16 of proof. */
const derived = (passphrase: Uint8Array, head: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const N = 2 ** (head[mark.length] ?? cost)
    const salt = head.subarray(mark.length + 1)
    scrypt(passphrase, salt, 48, { N, r: 8, p: 1, maxmem: 2 * 128 * 8 * N }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    )
  })
