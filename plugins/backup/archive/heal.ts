import { join } from 'node:path'
import { SugarError } from '../../../core/api.js'
import type { Bundles } from './bundles.js'
import type { Layout } from './layout.js'
import { type Manifest, writeManifest } from './manifest.js'
import type { Piece } from './pieces.js'
import { Shelf } from './shelf.js'

/**
 * Mends a learner's snapshots by one another: a piece that is damaged in one bundle may have been written anew into
 * another, when a later snapshot read its files again.
 * @returns how many pieces are whole again
 */
export function heal(layout: Layout, uid: string, bundles: Bundles): number {
  const shelf = new Shelf(layout, uid)
  const manifests = shelf.ids().flatMap((id) => readable(shelf, id))
  const whole = new Map<string, Piece>()
  for (const { pieces } of manifests) {
    for (const piece of pieces) {
      if (!whole.has(piece.sum) && bundles.isWhole(piece)) whole.set(piece.sum, piece)
    }
  }
  let healed = 0
  for (const { header, pieces } of manifests) {
    const mended = pieces.map((piece) => (bundles.isWhole(piece) ? piece : (whole.get(piece.sum) ?? piece)))
    const count = mended.filter((piece, index) => piece !== pieces[index]).length
    if (count === 0) continue
    healed += count
    const scratch = join(layout.scratch, `healed-${uid}`)
    writeManifest(shelf.path(header.id), { header, pieces: mended }, scratch)
  }
  return healed
}

function readable(shelf: Shelf, id: string): Manifest[] {
  try {
    return [shelf.read(id)]
  } catch (error) {
    if (error instanceof SugarError && (error.code === 'DAMAGED' || error.code === 'NOT_FOUND')) return []
    throw error
  }
}
