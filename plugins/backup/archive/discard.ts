import { rmSync, statSync } from 'node:fs'
import { below } from '../journal/path.js'
import type { BytePath, ObjectName } from '../tree.js'
import type { Layout } from './layout.js'
import { Objects } from './objects.js'

/** A file of a live tree that is one inode with an object that was put aside: it is damaged as well. */
export interface Rotten {
  /** In the live tree. */
  readonly path: BytePath
  readonly object: ObjectName
}

/**
 * Removes damaged files from a learner's live tree, so that the laptop sends them anew. What it has sent anew in the
 * meantime is another inode, and stays.
 */
export function discard(layout: Layout, uid: string, rotten: readonly Rotten[]): void {
  const objects = new Objects(layout.objects)
  for (const { path, object } of rotten) {
    const file = below(layout.live(uid), path)
    const live = statSync(file, { throwIfNoEntry: false })?.ino
    if (live !== undefined && live === objects.asideOf(object)?.ino) rmSync(file)
  }
}
