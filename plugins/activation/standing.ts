import { asError, type Logger } from '../../core/api.js'
import { checkLease, type Moment, type PublicKey, parseLease } from '../keyring/public.js'
import type { Kept } from './documents.js'
import { signerOf } from './intake/leases.js'
import type { Trust } from './trust.js'

/**
 * What is known of a lease, beside its end:
 * - good: its laptop takes it, as far as can be seen here; all of them, where no key is known
 * - strange: nobody here knows its key, and so whether its laptop does
 * - compromised: its key is
 * - broken: its laptop does not take it
 */
export type Standing = 'good' | 'strange' | 'compromised' | 'broken'

interface Judged {
  readonly keys: readonly PublicKey[]
  readonly uuids: readonly (string | undefined)[]
  readonly standing: Standing
}

/** A laptop, and what its uuid may be: as a delegation has it, and as a list does. */
export interface Holder {
  readonly serial: string
  readonly uuids: readonly (string | undefined)[]
}

/**
 * Looks at leases as their laptops would. A lease that came when no key or no uuid was known could not be looked at
 * then; so each is when it is wanted, and again only when keys or uuids are others.
 */
export class Standings {
  readonly #trust: Trust
  readonly #log: Logger
  readonly #judged = new WeakMap<Kept, Judged>()

  constructor(trust: Trust, log: Logger) {
    this.#trust = trust
    this.#log = log
  }

  /** @param at a time when it has not run out */
  of(kept: Kept, { serial, uuids }: Holder, at: Moment): Standing {
    const keys = this.#trust.keys()
    const before = this.#judged.get(kept)
    if (before !== undefined && before.keys === keys && before.uuids.every((uuid, n) => uuid === uuids[n]))
      return before.standing
    const standing = this.#judge(kept, { serial, uuids }, at)
    this.#judged.set(kept, { keys, uuids, standing })
    return standing
  }

  #judge({ line }: Kept, { serial, uuids }: Holder, at: Moment): Standing {
    let signer: string
    try {
      signer = signerOf(parseLease(line))
    } catch (error) {
      // It was read when it came: only a disk makes something else of it.
      this.#log.error({ serial, err: asError(error) }, 'a ready lease is damaged, and is not given out')
      return 'broken'
    }
    if (this.#trust.isWithdrawn(signer)) return 'compromised'
    const trusted = this.#trust.keys()
    if (trusted.length === 0) return 'good'
    if (!this.#trust.has(signer)) return 'strange'
    const known = uuids.filter((uuid) => uuid !== undefined)
    const questions =
      known.length === 0 ? [{ serial, at, trusted }] : known.map((uuid) => ({ serial, at, trusted, uuid }))
    return questions.some((question) => checkLease(line, question).verdict === 'valid') ? 'good' : 'broken'
  }
}
