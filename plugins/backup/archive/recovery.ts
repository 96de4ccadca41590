import { Brake } from './brake.js'
import { Bundles } from './bundles.js'
import type { Layout } from './layout.js'
import { Objects } from './objects.js'
import { rowsOf } from './rows.js'
import { Shelf } from './shelf.js'

/**
 * Takes the brake off where a Journal has most of what it lost again, as after a restore: held on, the old snapshot
 * would be what restores give for ever, and what the child made since would not.
 * @param now the newest snapshot
 */
export function recover(layout: Layout, uid: string, now: string): void {
  const shelf = new Shelf(layout, uid)
  const braked = shelf.ids().filter((id) => id !== now && shelf.held(id).some(({ by }) => by === 'brake'))
  const bundles = new Bundles(new Objects(layout.objects))
  for (const id of braked) {
    const before = shelf.read(id)
    const brake = new Brake()
    for (const row of rowsOf(bundles, before)) brake.was(row.path, row)
    for (const row of rowsOf(bundles, shelf.read(now))) {
      brake.here(row.path, row.type === 'file')
      brake.is(row.path, row)
    }
    if (brake.upheaval() === undefined) shelf.release(id, 'brake')
  }
}
