import type { CoreConfig, Logger } from '../../../core/api.js'
import type { Keyring } from '../../keyring/public.js'
import type { Planner } from '../decision/planner.js'
import type { Roll } from '../roll/roll.js'

/** What taking in needs of the plugin's service. */
export interface Desk {
  readonly roll: Roll
  readonly keyring: Keyring | undefined
  readonly planner: Planner
  readonly config: CoreConfig
  readonly log: Logger
}

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
