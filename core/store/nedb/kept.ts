import { crc32 } from 'node:zlib'
import type { Row } from '../schema.js'

/** A row as NeDB keeps it, and as it stands on a line of the data file. */
export interface Kept {
  _id: string
  rev: number
  /** Version of the document's shape. */
  v: number
  /** Indexed fields. */
  i: Row['indexed']
  /** The document as JSON text. */
  doc: string
  /** CRC-32 of key, revision and document: a flipped bit is found when the file is read. */
  sum: number
}

/** What `sum` must be. */
export const sumOf = ({ _id, rev, doc }: Pick<Kept, '_id' | 'rev' | 'doc'>): number =>
  crc32(`${_id}\n${rev}\n${doc}`)

export function keptOf({ key, rev, version, indexed, body }: Row): Kept {
  const named = { _id: key, rev, doc: body }
  return { ...named, v: version, i: indexed, sum: sumOf(named) }
}

export const rowOfKept = ({ _id, rev, v, i, doc }: Kept): Row => ({
  key: _id,
  rev,
  version: v,
  indexed: i,
  body: doc,
})

/** About the bytes of its line. */
export const sizeOf = ({ _id, doc }: Kept): number => 2 * _id.length + doc.length + 100
