import { mkdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { SnapshotFacts } from '../archive/holdings.js'

/**
 * Makes a directory that rsync lists: an empty directory for each snapshot of one learner, called by its id, with the
 * time when it was taken. What cannot be fetched is left out.
 */
export async function layOutNames(folder: string, snapshots: readonly SnapshotFacts[]): Promise<void> {
  await mkdir(folder, { mode: 0o700 })
  for (const { id, at, damaged } of snapshots) {
    if (damaged !== undefined) continue
    await mkdir(join(folder, id), { mode: 0o700 })
    await utimes(join(folder, id), new Date(at), new Date(at))
  }
}
