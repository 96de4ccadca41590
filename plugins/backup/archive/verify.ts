import { fstatSync, linkSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SugarError, systemCode } from '../../../core/api.js'
import { below } from '../journal/path.js'
import type { BytePath, ObjectName } from '../tree.js'
import { Bundles } from './bundles.js'
import type { Rotten } from './discard.js'
import { syncDisk } from './flush.js'
import { heal } from './heal.js'
import { type Layout, placesOfLive } from './layout.js'
import { list } from './listing.js'
import { Objects } from './objects.js'
import type { Piece } from './pieces.js'
import type { Progress } from './progress.js'
import { digestOf, reading } from './readable.js'
import { Shelf, shelved } from './shelf.js'
import { streamObject } from './snapshot-tree.js'

/** Something that cannot be restored as it was. */
export interface Damage {
  readonly uid: string
  /** Its id, or undefined when the learner's folder cannot be read. */
  readonly snapshot?: string
  /** The file, or undefined when the snapshot itself cannot be read. */
  readonly path?: string
  readonly why: string
}

export interface Verified {
  readonly snapshots: number
  readonly objects: number
  readonly bytes: number
  readonly damage: readonly Damage[]
  /** Whole as they were written, but taken of what a power cut may have torn. */
  readonly unconfirmed: readonly { readonly uid: string; readonly snapshot: string }[]
  /** Objects that were found again in a live tree and put back, and pieces of manifests that were found in others. */
  readonly repaired: number
  /** Files of live trees that are damaged too: laptops must send them anew, once they are removed. See discard(). */
  readonly resend: readonly (Rotten & { readonly uid: string })[]
}

/** A file whose content is lost. */
interface LostFile {
  readonly path: BytePath
  readonly name: ObjectName
  readonly why: string
}

/**
 * Reads every snapshot and every object that one needs, and compares each with its hash.
 * @param repair damaged objects are looked for among the files that laptops sent last, pieces in other snapshots
 */
export async function verify(
  layout: Layout,
  progress: Progress,
  { uids, repair }: { uids?: readonly string[]; repair: boolean },
): Promise<Verified> {
  const learners = uids ?? shelved(layout)
  const healed = repair ? healAll(layout, learners) : 0
  const contents = new Contents(new Objects(layout.objects), progress)
  const damage: Damage[] = []
  const broken = new Set<ObjectName>()
  const unconfirmed: { uid: string; snapshot: string }[] = []
  let snapshots = 0
  for (const uid of learners) {
    const shelf = new Shelf(layout, uid)
    // Snapshots of one learner share most of their pieces.
    const known = new Map<string, readonly LostFile[]>()
    let ids: string[] = []
    try {
      ids = shelf.ids()
    } catch (error) {
      if (!(error instanceof SugarError)) throw error
      damage.push({ uid, why: error.message })
    }
    for (const snapshot of ids) {
      const found: Damage[] = []
      try {
        const { header, pieces } = shelf.read(snapshot)
        if (header.unconfirmed === true) unconfirmed.push({ uid, snapshot })
        for (const piece of pieces) {
          const place = `${piece.bundle} ${piece.at}`
          const lost = known.get(place) ?? (await contents.lostIn(piece))
          known.set(place, lost)
          for (const { path, name, why } of lost) {
            broken.add(name)
            found.push({ uid, snapshot, path, why })
          }
        }
      } catch (error) {
        if (!(error instanceof SugarError) || error.code === 'UNAVAILABLE') throw error
        found.push({ uid, snapshot, why: error.message })
      }
      // One that was pruned meanwhile needs nothing any more.
      if (!shelf.ids().includes(snapshot)) continue
      snapshots += 1
      damage.push(...found)
    }
  }
  const { objects, bytes } = contents
  const mended = repair && broken.size > 0 ? mend(layout, broken, progress) : { repaired: 0, resend: [] }
  return { snapshots, objects, bytes, damage, unconfirmed, ...mended, repaired: mended.repaired + healed }
}

function healAll(layout: Layout, uids: readonly string[]): number {
  const bundles = new Bundles(new Objects(layout.objects))
  return uids.reduce((sum, uid) => {
    try {
      return sum + heal(layout, uid, bundles)
    } catch (error) {
      if (error instanceof SugarError && error.code === 'DAMAGED') return sum
      throw error
    }
  }, 0)
}

/** Contents that were looked at: each is read once, however many snapshots need it. */
class Contents {
  objects = 0
  bytes = 0
  readonly #from: Objects
  readonly #bundles: Bundles
  readonly #progress: Progress
  /** Half of each name, as bytes: a school may have millions. */
  readonly #seen = new Set<string>()
  readonly #wrong = new Map<ObjectName, string>()

  constructor(from: Objects, progress: Progress) {
    this.#from = from
    this.#bundles = new Bundles(from)
    this.#progress = progress
  }

  /** The files of a piece that cannot be restored. @throws SystemError DAMAGED when the piece itself is */
  async lostIn(piece: Piece): Promise<LostFile[]> {
    const lost: LostFile[] = []
    for (const row of this.#bundles.rows(piece)) {
      if (row.type !== 'file' || typeof row.content !== 'string') continue
      const why = await this.#look(row.content, row.size)
      if (why !== undefined) lost.push({ path: row.path, name: row.content, why })
    }
    return lost
  }

  async #look(name: ObjectName, size: number): Promise<string | undefined> {
    const half = Buffer.from(name, 'hex').toString('latin1', 0, 16)
    if (this.#seen.has(half)) return this.#wrong.get(name)
    this.#seen.add(half)
    this.objects += 1
    this.bytes += size
    this.#progress.step(size)
    const why = await wrongWith(this.#from, name, size)
    if (why !== undefined) this.#wrong.set(name, why)
    return why
  }
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
 * there too: that file is told, and stays until nobody is at work there.
 */
function mend(
  layout: Layout,
  broken: ReadonlySet<ObjectName>,
  progress: Progress,
): Pick<Verified, 'repaired' | 'resend'> {
  const objects = new Objects(layout.objects)
  const inodes = new Map<number, ObjectName>()
  for (const name of broken) {
    objects.putAside(name)
    // Also one that was put aside by somebody who did not come to the end.
    const inode = objects.asideOf(name)?.ino
    if (inode !== undefined) inodes.set(inode, name)
  }
  let repaired = 0
  const resend: Verified['resend'][number][] = []
  for (const uid of shelved(layout)) {
    for (const { type, lies, size } of list(layout.live(uid), placesOfLive)) {
      if (type !== 'file') continue
      progress.step(size)
      const file = below(layout.live(uid), lies)
      const inode = lstatSync(file, { throwIfNoEntry: false })?.ino
      // A session may be at work there.
      if (inode === undefined) continue
      const object = inodes.get(inode)
      if (object !== undefined) resend.push({ uid, path: lies, object })
      else if (putBack(layout, objects, broken, file)) repaired += 1
    }
  }
  syncDisk(layout.root)
  return { repaired, resend }
}

/** Makes a live file an object again, where that is what it holds. */
function putBack(layout: Layout, objects: Objects, broken: ReadonlySet<ObjectName>, file: Buffer): boolean {
  const found = contentIn(file)
  if (found === undefined || !broken.has(found.name) || objects.find(found.name) !== undefined) return false
  const { name, inode } = found
  const path = join(layout.objects, name.slice(0, 2), name.slice(2))
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  linkSync(file, path)
  // The name stands for the file that was hashed, and no other.
  if (lstatSync(path).ino === inode) return true
  rmSync(path)
  return false
}

/** undefined for a file that has gone, or that the disk does not give back: no copy of anything is there. */
function contentIn(file: Buffer): { name: ObjectName; inode: number } | undefined {
  try {
    return reading(file, (open) => ({ name: digestOf(open).name, inode: fstatSync(open).ino }))
  } catch (error) {
    if (systemCode(error) !== undefined) return undefined
    throw error
  }
}
