import type { PublicKey } from '../wire/key.js'
import { hasPassed, type Moment } from '../wire/moment.js'

/** Through whose eyes a record is looked at. */
export interface Question {
  /** What the laptop's clock says. */
  readonly at: Moment
  /** Keys that the laptop knows. */
  readonly trusted: readonly PublicKey[]
}

export interface LeaseQuestion extends Question {
  /** The laptop's serial, in capitals. */
  readonly serial: string
  /** The laptop's uuid, to the letter; a secret. Without it the signature over the laptop is not checked. */
  readonly uuid?: string
}

/** What is asked of a file. */
export interface FileQuestion extends Question {
  /** The laptop; otherwise the only one in the file. */
  readonly serial?: string | undefined
  /** Its uuid; a secret. */
  readonly uuid?: string | undefined
  /** Uuids by serial: every laptop in the file is asked for. Secrets. */
  readonly uuids?: ReadonlyMap<string, string> | undefined
  /** For a delegation: the key that it should hand over to. */
  readonly delegate?: PublicKey | undefined
  /** For an answer of OATS: what was sent. */
  readonly nonce?: string | undefined
  /** For a detached signature: path of the file that was signed. */
  readonly data?: string | undefined
  readonly signal: AbortSignal
}

/** What a laptop makes of a record. */
export interface Verdict {
  /**
   * - valid: it accepts it
   * - invalid: it refuses it, and reads no further in the file
   * - no-match: it passes it over: the record is for another laptop, or of a key that it does not know
   */
  readonly verdict: 'valid' | 'invalid' | 'no-match'
  /** A clause about the record: `ended at 20250101T000000Z`. Holds no uuid. */
  readonly reason: string
  /** Until when a valid one counts, where it has an end or is one that could. */
  readonly expiry?: Moment
  /** What of a valid one could not be looked at, and why: a clause. */
  readonly unchecked?: string
  /** Ids of the keys that a valid one goes through, beginning with the trusted one. */
  readonly keys?: readonly string[]
}

/** A verdict on what is for one laptop; on what does not say for which, without a serial. */
export interface ForLaptop {
  readonly serial?: string | undefined
  readonly verdict: Verdict
}

export const invalid = (reason: string): Verdict => ({ verdict: 'invalid', reason })
export const noMatch = (reason: string): Verdict => ({ verdict: 'no-match', reason })

/** A key's id as people read it: ids end alike, so its beginning. */
export const short = (id: string): string => id.slice(0, 12)

/** Why an expiry counts no more; undefined when it does. */
export const overSince = (expiry: Moment, at: Moment): string | undefined =>
  hasPassed(expiry, at) ? `ended at ${expiry}` : undefined
