import { choose } from '../archive/choice.js'
import type { Objects } from '../archive/objects.js'
import type { Shelf } from '../archive/shelf.js'
import { history } from './chapters.js'

/** Where each of some entries was last. */
export interface Located {
  /** Snapshots by entry. */
  readonly found: ReadonlyMap<string, string>
  /** The snapshot that is meant when none is named. */
  readonly first: string
  /** Snapshots that could not be read, or only in part. */
  readonly unread: readonly string[]
}

/** @param entries uids; those that no snapshot has are not among what is found */
export function locate(shelf: Shelf, objects: Objects, entries: readonly string[]): Located {
  const wanted = new Set(entries)
  const found = new Map<string, string>()
  const unread: string[] = []
  for (const chapter of history(shelf, objects, (id) => unread.push(id))) {
    for (const uid of wanted) if (chapter.entries.has(uid)) found.set(uid, chapter.snapshot)
    if (found.size === wanted.size) break
  }
  return { found, first: choose(shelf), unread }
}
