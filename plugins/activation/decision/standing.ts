import { asError, type Logger } from '../../../core/api.js'
import {
  checkLease,
  type Keyring,
  type Lease,
  type Moment,
  type PublicKey,
  parseLease,
} from '../../keyring/public.js'
import type { Kept } from '../documents.js'

/**
 * What is known of a lease, beside its end:
 * - good: its laptop takes it, as far as can be seen here; all of them, where no key is known
 * - strange: nobody here knows its key, and so whether its laptop does; or it fits another uuid than that of the
 *   operator's list, which may be wrong
 * - compromised: a key of one of its links is
 * - broken: its laptop does not take it
 */
export type Standing = 'good' | 'strange' | 'compromised' | 'broken'

interface Judged {
  readonly keys: readonly PublicKey[]
  readonly uuid: string | undefined
  readonly delegated: string | undefined
  /** The keys of its links, by id or whole. */
  readonly signers: readonly string[]
  readonly standing: Exclude<Standing, 'compromised'>
}

/** A laptop, and its uuid where that is known. */
export interface Holder {
  readonly serial: string
  readonly uuid: string | undefined
  /** The uuid of its delegation, where that is another. */
  readonly delegated?: string | undefined
}

/** Where there is no keyring, nothing is known of keys. */
const none: readonly PublicKey[] = []

/**
 * Looks at leases as their laptops would. A lease that came when no key or no uuid was known could not be looked at
 * then; so each is when it is wanted, and again only when keys or uuid are others.
 */
export class Standings {
  readonly #keyring: Keyring | undefined
  readonly #log: Logger
  readonly #judged = new WeakMap<Kept, Judged>()

  constructor(keyring: Keyring | undefined, log: Logger) {
    this.#keyring = keyring
    this.#log = log
  }

  /** @param at a time when it has not run out */
  of(kept: Kept, holder: Holder, at: Moment): Standing {
    const { uuid, delegated } = holder
    const keys = this.#keyring?.trusted('lease') ?? none
    let judged = this.#judged.get(kept)
    if (judged?.keys !== keys || judged.uuid !== uuid || judged.delegated !== delegated) {
      judged = { keys, uuid, delegated, ...this.#judge(kept, holder, keys, at) }
      this.#judged.set(kept, judged)
    }
    // Asked each time: keys of other roles may be among its links.
    return judged.signers.some((key) => this.#keyring?.isCompromised(key)) ? 'compromised' : judged.standing
  }

  #judge(
    { line }: Kept,
    { serial, uuid, delegated }: Holder,
    trusted: readonly PublicKey[],
    at: Moment,
  ): Pick<Judged, 'signers' | 'standing'> {
    let signers: readonly string[]
    try {
      signers = signersOf(parseLease(line))
    } catch (error) {
      // It was read when it came: only a disk makes something else of it.
      this.#log.error(
        { serial, err: asError(error) },
        'a lease that is kept is damaged, and is not given out',
      )
      return { signers: [], standing: 'broken' }
    }
    if (trusted.length === 0) return { signers, standing: 'good' }
    const first = signers[0]?.slice(-64)
    if (!trusted.some(({ id }) => id === first)) return { signers, standing: 'strange' }
    const fits = (one: string | undefined) =>
      checkLease(line, { serial, at, trusted, ...(one !== undefined && { uuid: one }) }).verdict === 'valid'
    if (fits(uuid)) return { signers, standing: 'good' }
    return { signers, standing: delegated !== undefined && fits(delegated) ? 'strange' : 'broken' }
  }
}

/** The keys of a lease's links, by id or whole, as it has them. */
export const signersOf = ({ signature }: Lease): readonly string[] =>
  signature.version === 1 ? [signature.mark.key] : signature.links.map(({ key }) => key)
