import type { Basis, Moment } from '../../keyring/public.js'
import type { Kept } from '../documents.js'

/** What would be signed for a laptop. */
export interface Order {
  /** A secret. */
  readonly uuid: string
  readonly expiry: Moment
  /** Id of the key that signs. */
  readonly key: string
}

/** The best of the leases that are there for a laptop. */
export interface Choice extends Kept {
  /** Whether its laptop takes it is not known: it is the last choice. */
  readonly isStrange: boolean
  /** It did not come ready, but was signed here when the laptop asked before. */
  readonly isOwn: boolean
}

/** What is there for a laptop that asks. Neither `best` nor `order`: nothing, and `lacks` and `missing` say why. */
export interface Plan {
  readonly isStolen?: true
  /** What lasts longest, of ready leases and what was signed before. */
  readonly best?: Choice
  /** The ready lease that lasts longest; of those whose key is known here, if there is one. */
  readonly stored?: Kept
  /** Its key is not known here. */
  readonly isStrange?: true
  /** There is a ready one that has not run out, and it is known to be bad. */
  readonly isWithheld?: true
  /** What to sign: it is better than what is there. */
  readonly order?: Order
  /** Why nothing is to be signed. */
  readonly lacks: string
  /** Why there is no ready lease. */
  readonly missing: string
}

/** With what something could be signed for a laptop, or why nothing can. */
export type Means = { readonly basis: Basis; readonly uuid: string } | { readonly lacks: string }
