import type { Row } from '../tree.js'
import type { Bundles } from './bundles.js'
import { damaged } from './codec.js'
import type { Manifest } from './manifest.js'

/**
 * All rows of a snapshot, in the order of their paths.
 * @throws SystemError DAMAGED
 */
export function* rowsOf(bundles: Bundles, { pieces }: Pick<Manifest, 'pieces'>): Generator<Row> {
  let last: string | undefined
  for (const piece of pieces) {
    for (const row of bundles.rows(piece)) {
      if (last !== undefined && row.path <= last) throw damaged('its pieces are out of order')
      last = row.path
      yield row
    }
  }
}
