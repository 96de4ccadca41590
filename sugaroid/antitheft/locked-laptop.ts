import type { Moment } from './moment.js'
import type { AntitheftKey } from './public-key.js'

/** A laptop with security on, as it knows itself when it judges what is signed. */
export interface LockedLaptop {
  /** 11 characters. */
  readonly serial: string
  /** To the letter as its manufacturing data have it; part of what is signed for it, and a secret. */
  readonly uuid: string
  /** The keys it knows for the role in question, such as those of leases. */
  readonly keys: readonly AntitheftKey[]
  /** What its clock says. */
  readonly now: Moment
}

/** All of a laptop that counts where its uuid is not signed. */
export type Signee = Omit<LockedLaptop, 'uuid'>
