/** What the authority sends along for the keyring. */
import { basename } from 'node:path'
import { RequestError } from '../../../core/api.js'
import type { Keyring } from '../../keyring/public.js'
import { atOdds } from '../roll/uuids.js'
import type { Desk } from './desk.js'
import type { Taken } from './taking.js'
import { Refusals } from './tally.js'

/** Who asks, in the keyring's audit log. */
const by = 'activation'

/**
 * Hands delegations to the keyring.
 * @param name of the file, which says what for
 * @throws RequestError when the keyring is off, or takes none
 */
export async function takeDelegations(desk: Desk, name: string, bytes: Buffer): Promise<Taken> {
  const keyring = keyringOf(desk)
  const role = basename(name).toLowerCase().includes('oats') ? 'oats' : 'lease'
  const { taken, unchanged, refused } = await keyring.takeDelegations(role, bytes.toString('utf8'), by)
  const refusals = new Refusals()
  for (const refusal of refused) refusals.add(refusal)
  const odds = role === 'lease' ? atOdds(taken.filter((serial) => desk.planner.isAtOdds(serial))) : undefined
  return {
    ...{ taken: taken.length, unchanged, notes: odds === undefined ? [] : [odds] },
    ...{ refused: refusals.count, refusals: refusals.first },
  }
}

/** Bytes of a file of a key, more than any has. */
const largestKey = 64 * 1024

/**
 * Hands this server's own pair of keys to the keyring.
 * @throws RequestError when the keyring is off, or they are no pair
 */
export async function takeServerKey(
  desk: Desk,
  { private: own, public: given }: { private: Buffer; public: Buffer },
): Promise<Taken> {
  const keyring = keyringOf(desk)
  if (own.length > largestKey || given.length > largestKey)
    throw new RequestError('REQUEST_TOO_LARGE', `a key has no more than ${largestKey} bytes`)
  const isNew = await keyring.takeServerKey({ private: own, public: given }, by)
  return { taken: isNew ? 1 : 0, unchanged: isNew ? 0 : 1, refused: 0, refusals: [], notes: [] }
}

function keyringOf({ keyring }: Desk): Keyring {
  if (keyring !== undefined) return keyring
  throw new RequestError('UNAVAILABLE', 'the plugin keyring is off: only it keeps keys and delegations', {
    hint: 'add keyring to the option plugins, and import it again',
  })
}
