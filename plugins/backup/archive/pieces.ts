import { crc32 } from 'node:zlib'
import type { Row } from '../tree.js'
import { encodeRows } from './codec.js'

// One row in 64 begins a piece, on an average.
const boundary = 63
/** Rows after which a piece ends wherever it is. */
const longest = 4096

/**
 * Cuts sorted rows into pieces, as they come. Where a piece begins is told by a row's path alone, so that a change in
 * one place leaves all pieces elsewhere as they were, and two snapshots share them.
 */
export class Pieces {
  #rows: Row[] = []
  readonly #take: (piece: Buffer) => void

  constructor(take: (piece: Buffer) => void) {
    this.#take = take
  }

  add(row: Row): void {
    if (this.#rows.length >= longest || begins(row.path)) this.end()
    this.#rows.push(row)
  }

  /** No more rows. */
  end(): void {
    if (this.#rows.length > 0) this.#take(encodeRows(this.#rows))
    this.#rows = []
  }
}

const begins = (path: string): boolean => (crc32(path) & boundary) === 0
