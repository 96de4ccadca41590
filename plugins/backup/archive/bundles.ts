import { createHash } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { ObjectName, Row } from '../tree.js'
import { damaged, decodeRows, encodeRows } from './codec.js'
import type { Objects } from './objects.js'
import type { Piece } from './pieces.js'

/** Bytes of a piece, unpacked: many times what one can hold. */
const longestPiece = 64 << 20
/** Bytes of bundles that are kept in memory, about. */
const most = 16 << 20

/** A piece as it will be written. */
export interface Packed {
  readonly bytes: Buffer
  /** Half of their sha256: the same rows give the same. */
  readonly sum: string
}

export function pack(rows: readonly Row[]): Packed {
  const bytes = deflateRawSync(encodeRows(rows), { level: 6 })
  return { bytes, sum: sumOf(bytes) }
}

/** New pieces, on their way into one object: a file for each would take a block of the disk for each. */
export class Bundle {
  readonly #parts: Buffer[] = []
  #length = 0

  get isEmpty(): boolean {
    return this.#parts.length === 0
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  /** @returns where it will be */
  add({ bytes }: Packed): Pick<Piece, 'at' | 'length'> {
    const at = this.#length
    this.#parts.push(bytes)
    this.#length += bytes.length
    return { at, length: bytes.length }
  }
}

/** Reads pieces. Bundles that were read stay in memory for a while, since pieces come one after the other. */
export class Bundles {
  readonly #objects: Objects
  readonly #read = new Map<ObjectName, Buffer>()
  #size = 0

  constructor(objects: Objects) {
    this.#objects = objects
  }

  /** @throws SystemError DAMAGED */
  rows({ length, sum, ...piece }: Piece): Generator<Row> {
    const bytes = this.#bytesOf({ length, sum, ...piece })
    let unpacked: Buffer
    try {
      unpacked = inflateRawSync(bytes, { maxOutputLength: longestPiece })
    } catch {
      throw damaged('a piece cannot be unpacked')
    }
    return decodeRows(unpacked)
  }

  /** Whether a piece is as it was written, without its rows being looked at. */
  isWhole(piece: Piece): boolean {
    try {
      this.#bytesOf(piece)
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'DAMAGED') return false
      throw error
    }
  }

  #bytesOf({ bundle, at, length, sum }: Piece): Buffer {
    const bytes = this.#bundle(bundle).subarray(at, at + length)
    if (bytes.length !== length || sumOf(bytes) !== sum) throw damaged('a piece is not what was written')
    return bytes
  }

  #bundle(name: ObjectName): Buffer {
    const known = this.#read.get(name)
    if (known !== undefined) return known
    const bytes = this.#objects.bytes(name)
    if (this.#size > most) {
      this.#read.clear()
      this.#size = 0
    }
    this.#read.set(name, bytes)
    this.#size += bytes.length
    return bytes
  }
}

const sumOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32)
