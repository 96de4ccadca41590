import { createHash } from 'node:crypto'
import { closeSync, linkSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SugarError } from '../../../core/api.js'
import type { ObjectName } from '../tree.js'
import { type Layout, placesOfLive } from './layout.js'
import { list } from './listing.js'
import { deflated, type Lying, Objects } from './objects.js'
import type { Progress } from './progress.js'
import { rowsOf } from './rows.js'
import { Shelf, shelved } from './shelf.js'
import { streamObject } from './snapshot-tree.js'

/** Something that cannot be restored as it was. */
export interface Damage {
  readonly uid: string
  readonly snapshot: string
  /** The file, or undefined when the snapshot itself cannot be read. */
  readonly path?: string
  readonly why: string
}

export interface Verified {
  readonly snapshots: number
  readonly objects: number
  readonly bytes: number
  readonly damage: readonly Damage[]
  /** Objects that were found again in a live tree and put back. */
  readonly repaired: number
}

/**
 * Reads every snapshot and every object that one needs, and compares each with its hash.
 * @param repair damaged objects are looked for among the files that laptops sent last
 */
export async function verify(
  layout: Layout,
  progress: Progress,
  { uids, repair }: { uids?: readonly string[]; repair: boolean },
): Promise<Verified> {
  const objects = new Objects(layout.objects)
  const seen = new Map<ObjectName, string | undefined>()
  const damage: Damage[] = []
  const broken = new Set<ObjectName>()
  let snapshots = 0
  let bytes = 0
  const check = async (name: ObjectName, size: number): Promise<string | undefined> => {
    if (!seen.has(name)) {
      seen.set(name, await wrongWith(objects, name, size))
      bytes += size
      progress.step(size)
    }
    return seen.get(name)
  }
  for (const uid of uids ?? shelved(layout)) {
    const shelf = new Shelf(layout, uid)
    for (const snapshot of shelf.ids()) {
      snapshots += 1
      try {
        for (const row of rowsOf(objects, shelf.read(snapshot))) {
          if (row.type !== 'file' || typeof row.content !== 'string') continue
          const why = await check(row.content, row.size)
          if (why === undefined) continue
          broken.add(row.content)
          damage.push({ uid, snapshot, path: row.path, why })
        }
      } catch (error) {
        if (!(error instanceof SugarError)) throw error
        damage.push({ uid, snapshot, why: error.message })
      }
    }
  }
  const repaired = repair && broken.size > 0 ? await mend(layout, objects, broken, progress) : 0
  return { snapshots, objects: seen.size, bytes, damage, repaired }
}

async function wrongWith(objects: Objects, name: ObjectName, size: number): Promise<string | undefined> {
  try {
    for await (const _ of streamObject(objects, name, size)) {
      // Hashed on the way.
    }
    return undefined
  } catch (error) {
    if (error instanceof SugarError) return error.message
    throw error
  }
}

/**
 * Puts damaged contents back where a live tree still has them. One that shares its inode with a live file is damaged
 * there too: that file is removed, so that the laptop's next backup sends it anew.
 */
async function mend(
  layout: Layout,
  objects: Objects,
  broken: ReadonlySet<ObjectName>,
  progress: Progress,
): Promise<number> {
  const inodes = new Set<number>()
  for (const name of broken) {
    const lying = objects.find(name)
    if (lying === undefined) continue
    inodes.add(statSync(lying.path).ino)
    setAside(lying)
  }
  let repaired = 0
  for (const uid of shelved(layout)) {
    for (const { type, path, size } of list(layout.live(uid), placesOfLive)) {
      if (type !== 'file') continue
      progress.step(size)
      const file = Buffer.concat([Buffer.from(`${layout.live(uid)}/`), Buffer.from(path, 'latin1')])
      if (inodes.has(statSync(file).ino)) {
        rmSync(file)
        continue
      }
      const name = hashOf(file)
      if (!broken.has(name) || objects.find(name) !== undefined) continue
      linkSync(file, join(layout.objects, name.slice(0, 2), name.slice(2)))
      repaired += 1
    }
  }
  return repaired
}

/** Moves a damaged object out of the way; it may be worth something to somebody who knows. */
function setAside(lying: Lying | undefined): void {
  if (lying === undefined) return
  const path = lying.deflated ? lying.path.slice(0, -deflated.length) : lying.path
  rmSync(`${path}.damaged`, { force: true })
  renameSync(lying.path, `${path}.damaged`)
}

function hashOf(path: Buffer): ObjectName {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(1 << 20)
  const file = openSync(path, 'r')
  try {
    for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer))
      hash.update(buffer.subarray(0, length))
    return hash.digest('hex')
  } finally {
    closeSync(file)
  }
}
