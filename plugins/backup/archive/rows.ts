import type { Row } from '../tree.js'
import { damaged, decodeRows } from './codec.js'
import type { Manifest } from './manifest.js'
import type { Objects } from './objects.js'

/** Bytes of a piece of a manifest, unpacked: many times what one can hold. */
const longestPiece = 64 << 20

/**
 * All rows of a snapshot, in the order of their paths.
 * @throws SystemError DAMAGED
 */
export function* rowsOf(objects: Objects, { pieces }: Pick<Manifest, 'pieces'>): Generator<Row> {
  let last: string | undefined
  for (const name of pieces) {
    for (const row of decodeRows(objects.read(name, longestPiece))) {
      if (last !== undefined && row.path <= last) throw damaged('its pieces are out of order')
      last = row.path
      yield row
    }
  }
}
