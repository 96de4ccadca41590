import { Brake, isUpheaval } from './brake.js'
import { Bundles } from './bundles.js'
import { datastore, type Layout } from './layout.js'
import { Objects } from './objects.js'
import { rowsOf } from './rows.js'
import { Shelf } from './shelf.js'

const prefix = `${datastore}/`

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
    for (const row of rowsOf(bundles, before)) {
      if (row.path.startsWith(prefix)) brake.was(row.path.slice(prefix.length), row)
    }
    for (const row of rowsOf(bundles, shelf.read(now))) {
      if (!row.path.startsWith(prefix)) continue
      brake.here(row.path.slice(prefix.length))
      brake.is(row.path.slice(prefix.length), row)
    }
    if (!isUpheaval(brake.upheaval(before.header.entries))) shelf.release(id, 'brake')
  }
}
