import { Bundles } from './bundles.js'
import { hasMostOf } from './kinds.js'
import type { Layout } from './layout.js'
import { Objects } from './objects.js'
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
    if (hasMostOf(bundles, shelf.read(now), shelf.read(id))) shelf.release(id, 'brake')
  }
}
