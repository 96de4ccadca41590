import { SugarError } from '../../../core/api.js'
import { judge, type Keepable, type KeepRules } from './keeping.js'
import type { Layout } from './layout.js'
import { Shelf, shelved } from './shelf.js'

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
    for (const verdict of judge(keepables(shelf), rules)) {
      const busy = !verdict.keep && pinned(uid, verdict.id)
      verdicts.push({ uid, ...verdict, ...(busy && { keep: true, reasons: ['it is being read'] }) })
      if (!verdict.keep && !busy && !dryRun) shelf.remove(verdict.id)
    }
  }
  return verdicts
}

function keepables(shelf: Shelf): Keepable[] {
  return shelf.ids().map((id) => {
    const held = shelf.held(id)?.why
    try {
      return { id, at: shelf.header(id).at, held }
    } catch (error) {
      if (!(error instanceof SugarError)) throw error
      // What cannot be read is kept until somebody has looked at it.
      return { id, at: timeOf(id), held: held ?? error.message, damaged: true }
    }
  })
}

/** The time that an id stands for. */
export const timeOf = (id: string): string =>
  id.replace(/^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})Z.*$/, '$1T$2:$3:$4.000Z')
