import { SugarError } from '../../../core/api.js'
import { Bundles } from './bundles.js'
import { judge, type Keepable, type KeepRules } from './keeping.js'
import type { Layout } from './layout.js'
import { Objects } from './objects.js'
import { rowsOf } from './rows.js'
import { reasonOf, Shelf, shelved, timeOf } from './shelf.js'

/** What becomes of a snapshot, and why. */
export interface Pruned {
  readonly uid: string
  readonly id: string
  readonly at: string
  readonly keep: boolean
  readonly reasons: readonly string[]
}

/**
 * Removes the snapshots that no rule keeps; their objects stay until the next sweep.
 * @param pinned whether somebody reads it just now
 */
export function prune(
  layout: Layout,
  { rules, uids, dryRun }: { rules: KeepRules; uids?: readonly string[]; dryRun: boolean },
  pinned: (uid: string, id: string) => boolean,
): Pruned[] {
  const verdicts: Pruned[] = []
  for (const uid of uids ?? shelved(layout)) {
    const shelf = new Shelf(layout, uid)
    for (const verdict of judge(keepables(layout, shelf), rules)) {
      const busy = !verdict.keep && pinned(uid, verdict.id)
      verdicts.push({ uid, ...verdict, ...(busy && { keep: true, reasons: ['it is being read'] }) })
      if (!verdict.keep && !busy && !dryRun) shelf.remove(verdict.id)
    }
  }
  return verdicts
}

/** What the rules are told. The newest snapshot that is whole is looked for down to its rows: one must stay. */
function keepables(layout: Layout, shelf: Shelf): Keepable[] {
  const bundles = new Bundles(new Objects(layout.objects))
  let whole = false
  const newestFirst = idsOf(shelf)
    .reverse()
    .map((id) => {
      const held = reasonOf(shelf.held(id))
      try {
        const manifest = shelf.read(id)
        const incomplete = manifest.header.incomplete !== undefined
        if (!whole) readAll(rowsOf(bundles, manifest))
        const { at, unconfirmed = false } = manifest.header
        whole ||= !unconfirmed && !incomplete
        return { id, at, held, unconfirmed, incomplete }
      } catch (error) {
        if (!(error instanceof SugarError)) throw error
        // What cannot be read is kept until somebody has looked at it.
        return { id, at: timeOf(id), held: held ?? error.message, damaged: true }
      }
    })
  return newestFirst.reverse()
}

/** None, when the learner's folder cannot be read: nothing of it goes then. */
function idsOf(shelf: Shelf): string[] {
  try {
    return shelf.ids()
  } catch (error) {
    if (error instanceof SugarError) return []
    throw error
  }
}

/** @throws SystemError DAMAGED */
function readAll(rows: Iterable<unknown>): void {
  for (const _ of rows) {
    // Checked on the way.
  }
}
