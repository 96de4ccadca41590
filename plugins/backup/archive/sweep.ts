import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SugarError, SystemError, systemCode } from '../../../core/api.js'
import { Bundles } from './bundles.js'
import { syncDisk } from './flush.js'
import type { Layout } from './layout.js'
import { aside, deflated, Objects, objectForm } from './objects.js'
import type { Progress } from './progress.js'
import { References } from './references.js'
import { Shelf, shelved } from './shelf.js'
import { weightOf } from './weight.js'

export interface Swept {
  /** Objects there are now. */
  readonly objects: number
  /** Their bytes on the disk. */
  readonly bytes: number
  readonly removed: number
  /** Bytes of the disk. */
  readonly freed: number
}

/**
 * Removes objects that no snapshot needs. Whatever stops it, it has removed nothing that one needs: all snapshots are
 * read before the first removal, and a snapshot that cannot be read ends it.
 * @throws SystemError DAMAGED
 */
export function sweep(layout: Layout, progress: Progress): Swept {
  const objects = new Objects(layout.objects)
  const needed = markNeeded(layout, objects, progress)
  let count = 0
  let bytes = 0
  let removed = 0
  let freed = 0
  // Snapshots that were pruned must not come back after a power cut, without their objects.
  syncDisk(layout.root)
  for (const file of objectFiles(layout.objects)) {
    progress.step(0)
    const { size, nlink } = statSync(file.path)
    if (needed.mayHave(file.name)) {
      count += 1
      bytes += size
    } else {
      rmSync(file.path)
      removed += 1
      // The inode of a live file stays with that.
      if (nlink === 1) freed += weightOf('file', size, objectName)
    }
  }
  return { objects: count, bytes, removed, freed }
}

/** Bytes of an object's name. */
const objectName = 66

/** Bytes of the disk that all objects take besides the live trees, with which they share inodes. */
export function sizeOfObjects(layout: Layout): number {
  let bytes = 0
  for (const { path } of objectFiles(layout.objects)) {
    const { size, nlink } = statSync(path)
    if (nlink === 1) bytes += weightOf('file', size, objectName)
  }
  return bytes
}

function markNeeded(layout: Layout, objects: Objects, progress: Progress): References {
  let most = 0
  for (const _ of objectFiles(layout.objects)) most += 1
  const needed = new References(most)
  const bundles = new Bundles(objects)
  for (const uid of shelved(layout)) {
    const shelf = new Shelf(layout, uid)
    // Snapshots of one learner share most of their pieces; one that was read needs no second look.
    const read = new Set<string>()
    for (const id of shelf.ids()) {
      try {
        for (const piece of shelf.read(id).pieces) {
          needed.add(piece.bundle)
          if (read.has(piece.sum)) continue
          read.add(piece.sum)
          for (const row of bundles.rows(piece)) {
            if (row.type === 'file' && typeof row.content === 'string') needed.add(row.content)
          }
          progress.step(0)
        }
      } catch (error) {
        throw error instanceof SugarError && error.code === 'DAMAGED'
          ? unknowable(shelf.path(id), error)
          : error
      }
    }
  }
  return needed
}

const unknowable = (path: string, cause: SugarError): SystemError =>
  new SystemError('DAMAGED', `nothing was removed, for what ${path} needs cannot be told: ${cause.message}`, {
    hint: 'run "sugar-server backup verify"; if you can do without that snapshot, move its file away',
    cause,
  })

/** Every file that is or was an object. */
export function* objectFiles(root: string): Generator<{ name: string; path: string }> {
  for (const folder of entries(root)) {
    for (const file of entries(join(root, folder))) {
      const ending = [deflated, aside].find((one) => file.endsWith(one)) ?? ''
      const name = folder + file.slice(0, file.length - ending.length)
      if (objectForm.test(name)) yield { name, path: join(root, folder, file) }
    }
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return []
    throw error
  }
}
