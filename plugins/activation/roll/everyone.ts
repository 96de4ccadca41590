import type { Keyring } from '../../keyring/public.js'
import type { Entry } from './entry.js'
import type { Roll } from './roll.js'

/** All laptops that are known: those of the roll, and those that only a delegation names. */
export function* everyone({
  roll,
  keyring,
}: {
  readonly roll: Roll
  readonly keyring: Keyring | undefined
}): Generator<Entry> {
  yield* roll.all()
  for (const { role, serial } of keyring?.delegations() ?? [])
    if (role === 'lease' && roll.get(serial) === undefined) yield { serial }
}
