import { SugarError } from '../../../core/api.js'
import type { Layout } from './layout.js'
import { reasonOf, Shelf, shelved, timeOf } from './shelf.js'

export interface SnapshotFacts {
  readonly id: string
  /** ISO 8601, UTC. */
  readonly at: string
  readonly entries: number
  readonly files: number
  /** Of all files together. */
  readonly bytes: number
  /** Bytes that it added to the disk. */
  readonly added: number
  /** No rule removes it. */
  readonly held: boolean
  /** Why it is on hold. */
  readonly why?: string
  /** What is wrong with it, when its file cannot be read. */
  readonly damaged?: string
  /** Taken after the machine had stopped, before the laptop came again: a power cut may have torn it. */
  readonly unconfirmed?: true
  /** What its session left out of what the laptop has, in words. */
  readonly incomplete?: string
}

/** What the archive has of a learner. */
export interface Holding {
  readonly uid: string
  readonly snapshots: number
  readonly newest?: SnapshotFacts
  /** The newest one that has all that the laptop had, and that no power cut may have torn. */
  readonly lastGood?: SnapshotFacts
  /** Snapshots that the brake holds. */
  readonly braked: readonly string[]
  /** What is wrong, when nothing of it can be read. */
  readonly damaged?: string
}

/** A learner's snapshots, oldest first. */
export function snapshotsOf(layout: Layout, uid: string): SnapshotFacts[] {
  const shelf = new Shelf(layout, uid)
  return shelf.ids().map((id) => factsOf(shelf, id))
}

export function holdingsOf(layout: Layout, uids: readonly string[] = shelved(layout)): Holding[] {
  return uids.map((uid) => {
    try {
      return holdingOf(new Shelf(layout, uid), uid)
    } catch (error) {
      // What befell one learner's folder must not hide all others.
      if (!(error instanceof SugarError)) throw error
      return { uid, snapshots: 0, braked: [], damaged: error.message }
    }
  })
}

function holdingOf(shelf: Shelf, uid: string): Holding {
  const ids = shelf.ids()
  const newest = ids.at(-1)
  const braked = ids.filter((id) => shelf.held(id).some(({ by }) => by === 'brake'))
  if (newest === undefined) return { uid, snapshots: 0, braked }
  const facts = { uid, snapshots: ids.length, newest: factsOf(shelf, newest), braked }
  const lastGood = lastGoodOf(shelf, ids)
  return lastGood === undefined ? facts : { ...facts, lastGood }
}

function lastGoodOf(shelf: Shelf, ids: readonly string[]): SnapshotFacts | undefined {
  for (const id of ids.toReversed()) {
    const facts = factsOf(shelf, id)
    if (facts.damaged === undefined && facts.incomplete === undefined && facts.unconfirmed !== true)
      return facts
  }
  return undefined
}

function factsOf(shelf: Shelf, id: string): SnapshotFacts {
  const reason = reasonOf(shelf.held(id))
  const why = reason === undefined ? { held: false } : { held: true, why: reason }
  try {
    const { at, entries, files, bytes, added, unconfirmed, incomplete } = shelf.header(id)
    return {
      ...{ id, at, entries, files, bytes, added, ...why },
      ...(unconfirmed && { unconfirmed }),
      ...(incomplete !== undefined && { incomplete }),
    }
  } catch (error) {
    if (!(error instanceof SugarError)) throw error
    return { id, at: timeOf(id), entries: 0, files: 0, bytes: 0, added: 0, ...why, damaged: error.message }
  }
}
