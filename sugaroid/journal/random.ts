import { type Cipher, createCipheriv, createHash } from 'node:crypto'

const poolSize = 4096

/**
 * Chance that can be repeated: the same seed gives the same numbers on every machine. It is the key stream of
 * AES-CTR, so that hundreds of megabytes that no packer makes smaller cost next to nothing.
 */
export class Random {
  readonly #stream: Cipher
  #pool: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(seed: string) {
    const key = createHash('sha256').update(seed).digest()
    this.#stream = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16))
  }

  bytes(length: number): Buffer {
    return this.#stream.update(Buffer.alloc(length))
  }

  hex(digits: number): string {
    return this.bytes(Math.ceil(digits / 2))
      .toString('hex')
      .slice(0, digits)
  }

  /** From 0 to below 1. */
  fraction(): number {
    if (this.#at + 4 > this.#pool.length) {
      this.#pool = this.bytes(poolSize)
      this.#at = 0
    }
    this.#at += 4
    return this.#pool.readUInt32LE(this.#at - 4) / 2 ** 32
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  happens(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0]
  }

  /** Mean 0, deviation 1 (Box and Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.fraction()))
    return radius * Math.cos(2 * Math.PI * this.fraction())
  }
}
