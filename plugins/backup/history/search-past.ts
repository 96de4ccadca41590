import { setImmediate } from 'node:timers/promises'
import type { Objects } from '../archive/objects.js'
import type { Progress } from '../archive/progress.js'
import type { Shelf } from '../archive/shelf.js'
import { byAge, indexEntries, type JournalEntry } from '../journal/index.js'
import { search } from '../journal/search.js'
import { history } from './chapters.js'

/** Entries that are found at most. */
const mostPast = 1000

/** Entries that were found where they were last. */
export interface Past {
  /** Newest first. */
  readonly entries: readonly (JournalEntry & { readonly snapshot: string })[]
  /** There are more, which are left out. */
  readonly isCut: boolean
  /** Snapshots that could not be read, or only in part. */
  readonly unread: readonly string[]
}

/** Every snapshot but the first, which is searched page by page. */
export async function searchPast(
  shelf: Shelf,
  objects: Objects,
  text: string,
  progress: Progress,
): Promise<Past> {
  const found: (JournalEntry & { snapshot: string })[] = []
  const unread: string[] = []
  let isFirst = true
  for (const { snapshot, tree, entries } of history(shelf, objects, (id) => unread.push(id))) {
    if (!isFirst && entries.size > 0) {
      const { entries: some, next } = search(indexEntries(tree, entries.values()), { text, limit: mostPast })
      found.push(...some.map((entry) => ({ ...entry, snapshot })))
      if (next !== undefined || found.length > mostPast) break
    }
    isFirst = false
    progress.step(0)
    // Others have work here too.
    await setImmediate()
  }
  const isCut = found.length >= mostPast
  return { entries: found.sort(byAge).slice(0, mostPast), isCut, unread }
}
