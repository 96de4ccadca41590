import { statSync } from 'node:fs'
import { SugarError, systemCode } from '../../../core/api.js'
import { Bundles } from './bundles.js'
import type { Layout } from './layout.js'
import { Objects } from './objects.js'
import { Shelf } from './shelf.js'
import { weightOf } from './weight.js'

/** What a learner's snapshots take of the disk besides the live tree. */
export interface History {
  /** Bytes: the snapshots' own files, and the objects that they need and no live tree has. */
  readonly bytes: number
  /** Ids of snapshots that were removed, oldest first. */
  readonly removed: readonly string[]
}

/** Bytes of an object's name. */
const nameBytes = 66

/**
 * Weighs a learner's history. What other learners' snapshots need as well counts for each of them.
 * @param limit bytes; when it is more, the oldest snapshots are removed until it is not. Those that must stay do: all
 *   on hold, the newest, and the newest complete one. undefined removes none.
 * @param pinned whether a snapshot is being read
 */
export function weighHistory(
  layout: Layout,
  uid: string,
  limit: number | undefined,
  pinned: (id: string) => boolean,
): History {
  const shelf = new Shelf(layout, uid)
  const objects = new Objects(layout.objects)
  const needs = new Map(shelf.ids().map((id) => [id, needsOf(shelf, objects, id)]))
  const users = new Map<string, number>()
  let bytes = 0
  for (const [id, names] of needs) {
    bytes += sizeOfFile(shelf.path(id))
    for (const name of names) {
      const count = users.get(name) ?? 0
      if (count === 0) bytes += sizeOfObject(objects, name)
      users.set(name, count + 1)
    }
  }
  const removed: string[] = []
  if (limit === undefined) return { bytes, removed }
  const staying = mustStay(shelf)
  for (const [id, names] of needs) {
    if (bytes <= limit) break
    if (staying.has(id) || pinned(id)) continue
    bytes -= sizeOfFile(shelf.path(id))
    shelf.remove(id)
    removed.push(id)
    for (const name of names) {
      const count = (users.get(name) ?? 1) - 1
      users.set(name, count)
      if (count === 0) bytes -= sizeOfObject(objects, name)
    }
  }
  return { bytes, removed }
}

/** Names of the objects that a snapshot needs; none of one that cannot be read. */
function needsOf(shelf: Shelf, objects: Objects, id: string): Set<string> {
  const names = new Set<string>()
  const bundles = new Bundles(objects)
  try {
    for (const piece of shelf.read(id).pieces) {
      names.add(piece.bundle)
      for (const row of bundles.rows(piece))
        if (row.type === 'file' && typeof row.content === 'string') names.add(row.content)
    }
  } catch (error) {
    if (!(error instanceof SugarError)) throw error
  }
  return names
}

function mustStay(shelf: Shelf): Set<string> {
  const ids = shelf.ids()
  const isComplete = (id: string) => {
    try {
      const { incomplete, unconfirmed } = shelf.header(id)
      return incomplete === undefined && unconfirmed !== true
    } catch (error) {
      if (error instanceof SugarError) return false
      throw error
    }
  }
  // What cannot be read is left to an operator, too.
  const unreadable = ids.filter((id) => {
    try {
      shelf.read(id)
      return false
    } catch (error) {
      if (error instanceof SugarError) return true
      throw error
    }
  })
  const held = ids.filter((id) => shelf.held(id).length > 0)
  const last = [ids.at(-1), ids.findLast(isComplete)].filter((id) => id !== undefined)
  return new Set([...unreadable, ...held, ...last])
}

/** 0 for one that shares its inode with a live tree, where it counts. */
function sizeOfObject(objects: Objects, name: string): number {
  const lying = objects.find(name)
  if (lying === undefined) return 0
  const found = statSync(lying.path, { throwIfNoEntry: false })
  return found === undefined || found.nlink > 1 ? 0 : weightOf('file', found.size, nameBytes)
}

function sizeOfFile(path: string): number {
  try {
    return weightOf('file', statSync(path).size)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0
    throw error
  }
}
