import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../../../core/api.js'
import type { Layout } from './layout.js'
import { deflated, Objects, objectForm } from './objects.js'
import type { Progress } from './progress.js'
import { References } from './references.js'
import { rowsOf } from './rows.js'
import { Shelf, shelved } from './shelf.js'

export interface Swept {
  /** Objects there are now. */
  readonly objects: number
  /** Their bytes on the disk. */
  readonly bytes: number
  readonly removed: number
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
  for (const file of objectFiles(layout.objects)) {
    progress.step(0)
    const { size } = statSync(file.path)
    if (needed.mayHave(file.name)) {
      count += 1
      bytes += size
    } else {
      rmSync(file.path)
      removed += 1
      freed += size
    }
  }
  return { objects: count, bytes, removed, freed }
}

/** Bytes that all objects take. */
export function sizeOfObjects(layout: Layout): number {
  let bytes = 0
  for (const { path } of objectFiles(layout.objects)) bytes += statSync(path).size
  return bytes
}

function markNeeded(layout: Layout, objects: Objects, progress: Progress): References {
  let most = 0
  for (const _ of objectFiles(layout.objects)) most += 1
  const needed = new References(most)
  for (const uid of shelved(layout)) {
    const shelf = new Shelf(layout, uid)
    // Snapshots of one learner share most of their pieces; one that was read needs no second look.
    const read = new Set<string>()
    for (const id of shelf.ids()) {
      const manifest = shelf.read(id)
      const unread = manifest.pieces.filter((piece) => !read.has(piece))
      for (const piece of unread) {
        needed.add(piece)
        read.add(piece)
        for (const row of rowsOf(objects, { ...manifest, pieces: [piece] })) {
          if (row.type === 'file' && typeof row.content === 'string') needed.add(row.content)
        }
        progress.step(0)
      }
    }
  }
  return needed
}

/** Every file among the objects whose name is one's. */
export function* objectFiles(root: string): Generator<{ name: string; path: string; deflated: boolean }> {
  for (const folder of entries(root)) {
    for (const file of entries(join(root, folder))) {
      const packed = file.endsWith(deflated)
      const name = folder + (packed ? file.slice(0, -deflated.length) : file)
      if (objectForm.test(name)) yield { name, path: join(root, folder, file), deflated: packed }
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
