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
}

export const keptOf = (row: Row): Kept => ({
  _id: row.key,
  rev: row.rev,
  v: row.version,
  i: row.indexed,
  doc: row.body,
})

export const rowOfKept = ({ _id, rev, v, i, doc }: Kept): Row => ({
  key: _id,
  rev,
  version: v,
  indexed: i,
  body: doc,
})

/** About the bytes of its line. */
export const sizeOf = ({ _id, doc }: Kept): number => 2 * _id.length + doc.length + 100
