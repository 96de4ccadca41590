import type { Role } from '../public.js'
import type { PublicKey } from '../wire/key.js'
import type { State } from './states.js'

/** A key of this server. */
export interface StoredKey {
  readonly role: Role
  readonly publicKey: PublicKey
  readonly state: State
  /** Whether it can sign. */
  readonly hasPrivate: boolean
  /** ISO 8601, UTC. */
  readonly addedAt: string
}

/** As people see a key's id: its beginning, for all ids end alike. */
export const shortId = ({ id }: { readonly id: string }): string => id.slice(0, 12)
