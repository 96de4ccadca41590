import { SugarError } from '../../../core/api.js'
import { Bundles } from '../archive/bundles.js'
import { choose } from '../archive/choice.js'
import { datastore } from '../archive/layout.js'
import type { Manifest } from '../archive/manifest.js'
import type { Objects } from '../archive/objects.js'
import type { Shelf } from '../archive/shelf.js'
import { SnapshotTree } from '../archive/snapshot-tree.js'
import { type EntryRows, layoutOf } from '../journal/layout.js'
import type { Tree } from '../tree.js'

/** The entries that were last in a snapshot: none that was looked at before has them. */
export interface Chapter {
  readonly snapshot: string
  /** Reads their files. */
  readonly tree: Tree
  /** By uid. */
  readonly entries: ReadonlyMap<string, EntryRows>
}

/**
 * Goes through a learner's snapshots: the one that is meant when none is named, then all others, newest first. Pieces
 * that snapshots share are read once. Each entry comes once, with the snapshot in which it was last; entries of the
 * first come too.
 * @param unread is told which snapshots could not be read, or only in part
 */
export function* history(shelf: Shelf, objects: Objects, unread: (id: string) => void): Generator<Chapter> {
  const first = choose(shelf)
  const bundles = new Bundles(objects)
  const seen = new Set<string>()
  const known = new Set<string>()
  for (const snapshot of [
    first,
    ...shelf
      .ids()
      .reverse()
      .filter((id) => id !== first),
  ]) {
    const manifest = manifestOf(shelf, snapshot)
    // An entry that no other snapshot has lies in pieces that no other has.
    const fresh = manifest?.pieces.filter(({ sum }) => !seen.has(sum)) ?? []
    for (const { sum } of fresh) seen.add(sum)
    // One damaged piece must not hide what the others have.
    const pieces = fresh.filter((piece) => bundles.isWhole(piece))
    if (manifest === undefined || pieces.length < fresh.length) unread(snapshot)
    if (manifest === undefined) continue
    const tree = new SnapshotTree(objects, { ...manifest, pieces }, datastore)
    const entries = new Map([...layoutOf(tree).entries].filter(([uid]) => !known.has(uid)))
    for (const uid of entries.keys()) known.add(uid)
    yield { snapshot, tree, entries }
  }
}

function manifestOf(shelf: Shelf, id: string): Manifest | undefined {
  try {
    return shelf.read(id)
  } catch (error) {
    if (error instanceof SugarError && error.code === 'DAMAGED') return undefined
    throw error
  }
}
