import type { Roll } from '../roll.js'
import type { Service } from '../service.js'

/** What taking in needs of the plugin's service. */
export type Desk = Pick<Service, 'roll' | 'keyring' | 'planner' | 'config' | 'log'>

const turns = new WeakMap<Roll, Promise<unknown>>()

/** Looks at the roll and changes it while nobody else who comes through here does. */
export function alone<T>({ roll }: Pick<Desk, 'roll'>, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(roll) ?? Promise.resolve()).then(work)
  turns.set(
    roll,
    turn.catch(() => undefined),
  )
  return turn
}
