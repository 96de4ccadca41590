import { randomBytes } from 'node:crypto'
import type { ObjectName } from '../tree.js'

/**
 * A set of object names that never forgets one, and takes 2 bytes for each: it may believe that it has a name which
 * it has not (1 in 2,000), so a sweep leaves a little behind. Each set errs about other names than the one before,
 * so the next sweep takes that.
 */
export class References {
  readonly #bits: Uint8Array
  readonly #mask: number
  readonly #salt = randomBytes(16)

  /** @param most names that are expected, about */
  constructor(most: number) {
    const bits = 2 ** Math.min(32, Math.max(16, Math.ceil(Math.log2(Math.max(1, most) * 16))))
    this.#bits = new Uint8Array(bits / 8)
    this.#mask = bits - 1
  }

  add(name: ObjectName): void {
    for (const bit of this.#places(name)) {
      const at = bit >>> 3
      this.#bits[at] = (this.#bits[at] ?? 0) | (1 << (bit & 7))
    }
  }

  mayHave(name: ObjectName): boolean {
    return this.#places(name).every((bit) => ((this.#bits[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0)
  }

  /** A name is a hash already: words of it, turned by the salt, are as good as hashes of it. */
  #places(name: ObjectName): number[] {
    const bytes = Buffer.from(name, 'hex')
    const places: number[] = []
    for (let at = 0; at < 32; at += 4) {
      const word = bytes.readUInt32LE(at) ^ this.#salt.readUInt32LE(at % 16)
      places.push((Math.imul(word, 0x9e3779b1 + (this.#salt[at / 4] ?? 0) * 2) & this.#mask) >>> 0)
    }
    return places
  }
}
