import { SugarError } from '../../../core/api.js'
import { Brake } from './brake.js'
import { Bundles } from './bundles.js'
import type { Layout } from './layout.js'
import type { Manifest } from './manifest.js'
import { Objects } from './objects.js'
import { rowsOf } from './rows.js'
import { type Hold, Shelf } from './shelf.js'

/** Snapshots that the brake holds beside the first one, at most. */
const mostKinds = 4

/** Whether a Journal has most of what another one has, unchanged. @throws SystemError DAMAGED */
export function hasMostOf(bundles: Bundles, now: Manifest, before: Manifest): boolean {
  const brake = new Brake()
  for (const row of rowsOf(bundles, before)) brake.was(row.path, row)
  for (const row of rowsOf(bundles, now)) {
    brake.here(row.path, row.type === 'file')
    brake.is(row.path, row)
  }
  return brake.upheaval() === undefined
}

/**
 * Bounds what the brake holds, after it has held one more: the first snapshot stays, and the newest of each kind.
 * Two are of a kind when the later one has most of the earlier one.
 * @param held what has just been held
 * @param now the newest snapshot
 * @returns whether the Journal goes back and forth between two states: both it and the one that is held now have come back
 */
export function boundHolds(layout: Layout, uid: string, held: string, now: string): boolean {
  const shelf = new Shelf(layout, uid)
  const bundles = new Bundles(new Objects(layout.objects))
  const isBraked = (id: string) => shelf.held(id).some(({ by }) => by === 'brake')
  const [first, ...older] = shelf.ids().filter((id) => id !== held && id !== now && isBraked(id))
  if (first === undefined) return false
  const [before, newest] = [shelf.read(held), shelf.read(now)]
  let hasHeldKind = false
  let hasNewKind = false
  const others: string[] = []
  for (const id of [first, ...older]) {
    const isOfHeld = unlessDamaged(() => hasMostOf(bundles, before, shelf.read(id)))
    hasHeldKind ||= isOfHeld
    hasNewKind ||= unlessDamaged(() => hasMostOf(bundles, newest, shelf.read(id)))
    if (id === first) continue
    if (isOfHeld) shelf.release(id, 'brake')
    else others.push(id)
  }
  for (const id of others.slice(0, -mostKinds)) shelf.release(id, 'brake')
  const isInTurns = hasHeldKind && hasNewKind
  const hold: Hold | undefined = shelf.held(held).find(({ by }) => by === 'brake')
  if (isInTurns && hold !== undefined) shelf.hold(held, { ...hold, inTurns: true })
  return isInTurns
}

/** What cannot be read is of no kind, and stays on hold until it is one of too many. */
function unlessDamaged(compare: () => boolean): boolean {
  try {
    return compare()
  } catch (error) {
    if (error instanceof SugarError) return false
    throw error
  }
}
