import type { CollectionSpec } from '../../core/api.js'
import type { Moment } from './wire/moment.js'

/** A delegation that this server holds: the right to sign for one laptop. */
export interface DelegationDoc {
  /** `ROLE:SERIAL`. */
  id: string
  role: 'lease' | 'oats'
  serial: string
  /** As the authority wrote it; a secret. */
  uuid: string
  /** The authority's words, `sig02: ...`, without a line end. */
  chain: string
  /** Id of the key that it hands over to: one of this server's. */
  key: string
  /** When it ends: the first end of its links. */
  until: Moment
  /** ISO 8601, UTC. */
  takenAt: string
}

/** A delegation that this authority has signed. */
export interface IssuedDoc {
  /** `ROLE:SCHOOLKEYID:SERIAL`. */
  id: string
  role: 'lease' | 'oats'
  serial: string
  /** A secret; its `del01:` line holds it, and a change of it makes a new one due. */
  uuid: string
  /** As the list of laptops named it. */
  school?: string
  /** Id of the school server's key. */
  key: string
  until: Moment
  /** `sig02: ...`, without a line end. */
  chain: string
  /** Id of the authority's key. */
  signedBy: string
  /** ISO 8601, UTC. */
  issuedAt: string
}

const delegations: CollectionSpec<DelegationDoc> = { key: 'id', indexes: ['role', 'serial'] }
const issued: CollectionSpec<IssuedDoc> = { key: 'id', indexes: ['key', 'serial'] }

export const collections = { delegations, issued }
