/** What other plugins may use of the keyring: its service, and the lines of anti-theft as they are on the wire. */
import { token } from '../../core/api.js'
import type { PublicKey } from './wire/key.js'
import type { Moment } from './wire/moment.js'

export { checkLease, type LeaseQuestion, type Verdict } from './verify/lease.js'
export { formatBundle, isBundle, parseBundle } from './wire/bundle.js'
export { type Canonical, formatCanonical, parseCanonical } from './wire/canonical.js'
export { PublicKey } from './wire/key.js'
export { isUuid, parseSerial } from './wire/laptop.js'
export {
  earliest,
  formatMoment,
  hasPassed,
  isExpiry,
  isLater,
  type Moment,
  never,
  parseMoment,
} from './wire/moment.js'
export { effectiveExpiry, formatLine, type Lease, longestLine, parseLease } from './wire/record.js'

/** What a key is for. Laptops hold the public halves of all but `server`, which a school server signs with. */
export const roles = ['lease', 'oats', 'developer', 'os', 'fs', 'fw', 'server'] as const
export type Role = (typeof roles)[number]

/** With what the keyring would sign for a laptop. */
export interface Basis {
  /** Id of the key that signs. */
  readonly key: string
  /** Nothing signed on this basis counts longer: the end of the delegation; `never` for a master key. */
  readonly until: Moment
  /** The laptop's uuid as the authority wrote it into the delegation; a secret. */
  readonly uuid?: string
  /** Of the signature that would come: a `sig01`, which every laptop reads, or a `sig02`. */
  readonly version: 1 | 2
}

export interface LeaseAsk {
  readonly serial: string
  /** To the letter; a secret. */
  readonly uuid: string
  /** What goes beyond the basis is refused. */
  readonly expiry: Moment
  /** Who asks, for the audit log: `activation`. */
  readonly by: string
}

export interface RtcResetAsk {
  readonly serial: string
  readonly uuid: string
  /** What the laptop's clock says. */
  readonly current: Moment
  /** 10 digits. */
  readonly nonce: string
  readonly by: string
}

export interface OatsAsk {
  readonly serial: string
  /** The text that is signed, to the byte: `["oatc-resp",1,{...}]`. */
  readonly response: string
  readonly by: string
}

/** A delegation that this server holds. */
export interface HeldDelegation {
  readonly role: 'lease' | 'oats'
  readonly serial: string
  /** As the authority wrote it; a secret. */
  readonly uuid: string
  /** When it ends. */
  readonly until: Moment
}

/** What became of the lines of a file. */
export interface Intake {
  /** Serials whose lines were taken. */
  readonly taken: readonly string[]
  /** Lines that say what is held already, or something that ends sooner. */
  readonly unchanged: number
  /** Lines that were refused, counted from 1. Reasons hold no uuid. */
  readonly refused: readonly { readonly line: number; readonly serial?: string; readonly reason: string }[]
}

/**
 * Keys and what is signed with them. Every call that signs may throw a RequestError: REFUSED (no key or delegation for
 * this laptop, or an expiry beyond it), UNAVAILABLE (the clock cannot be trusted, the audit log cannot be written).
 */
export interface Keyring {
  /** Public keys whose signatures laptops of this school accept: those that are not compromised. */
  trusted(role: Role): readonly PublicKey[]
  /**
   * Whether a key is marked as compromised, whatever its role: nothing that goes through it counts, also as a link behind
   * a trusted key. The `keys` of a verdict are such ids.
   * @param key its id, 64 hex digits, or all of it, 540
   */
  isCompromised(key: string): boolean
  /** With what it would sign for a laptop; undefined when it cannot. Says nothing of the clock. */
  basis(role: 'lease' | 'oats', serial: string): Basis | undefined
  /** How many laptops it could sign for: `all` with a master key. */
  reach(role: 'lease' | 'oats'): number | 'all'
  /** Why nothing can be signed now, if so: the clock, or the signer. */
  obstacle(): Promise<string | undefined>
  /**
   * The time by which expiries are judged: the system's, or, while its clock cannot be trusted, the highest time that
   * was seen (the build date, if none was). A clock ten years ahead must not withhold leases that are good.
   */
  now(): Date
  /** @returns a line `act01: ...` without its line end */
  lease(ask: LeaseAsk): Promise<string>
  /** The laptop's clock is set to this server's. @returns a line `rtc01: ...` without its line end */
  resetClock(ask: RtcResetAsk): Promise<string>
  /** @returns `sig01: ...` or `sig02: ...` without its line end */
  oats(ask: OatsAsk): Promise<string>
  /** All delegations that are held, in no order. */
  delegations(): readonly HeldDelegation[]
  /**
   * Takes over a file of `del01:` lines, all that are good or, when the disk fails, none.
   * @param text lines; at most 64 MiB
   */
  takeDelegations(role: 'lease' | 'oats', text: string, by: string): Promise<Intake>
  /**
   * Takes over this server's own pair of keys, as the authority's stick has it.
   * @param pair DER as makekey writes it
   * @returns whether it was new; @throws RequestError when the halves do not belong together or are no keys
   */
  takeServerKey(pair: { private: Uint8Array; public: Uint8Array }, by: string): Promise<boolean>
}

export const Keyring = token<Keyring>('keyring/keyring@1')
