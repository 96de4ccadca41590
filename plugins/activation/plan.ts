import type { Logger } from '../../core/api.js'
import {
  type Basis,
  earliest,
  formatMoment,
  hasPassed,
  isLater,
  type Keyring,
  type Lease,
  type Moment,
  never,
  parseLease,
  parseMoment,
} from '../keyring/public.js'
import { timeText } from './day.js'
import type { Kept, Laptop, Stock } from './documents.js'
import { type LeaseEnds, Seconds } from './ends.js'
import type { Roll } from './roll.js'
import { isStolen } from './survey.js'

/** What would be signed for a laptop. */
export interface Order {
  /** A secret. */
  readonly uuid: string
  readonly expiry: Moment
  /** Id of the key that signs. */
  readonly key: string
}

/** What is there for a laptop that asks. Neither `stored` nor `order`: nothing, and `lacks` and `missing` say why. */
export interface Plan {
  readonly isStolen?: true
  /** The ready lease that lasts longest. */
  readonly stored?: Kept
  /** What to sign: it lasts longer than any ready lease. */
  readonly order?: Order
  /** Why nothing is to be signed. */
  readonly lacks: string
  /** Why there is no ready lease. */
  readonly missing: string
}

/** With what something could be signed for a laptop, or why nothing can. */
export type Means = { readonly basis: Basis; readonly uuid: string } | { readonly lacks: string }

/** A lease that ends sooner is not worth a signature: the laptop would be locked before it is home. */
const shortest = 3_600_000

/** What each laptop would get, and why. It signs nothing. */
export class Planner {
  readonly #roll: Roll
  readonly #keyring: Keyring | undefined
  readonly #ends: LeaseEnds
  readonly #days: number
  readonly #log: Logger
  readonly #seconds = new Seconds(shortest)
  /** Ids of the keys that the authority signed ready leases with. */
  readonly #signers = new WeakMap<Kept, string>()

  /** @param days how long a lease lasts where nothing else is said */
  constructor({
    roll,
    keyring,
    ends,
    days,
    log,
  }: {
    readonly roll: Roll
    readonly keyring: Keyring | undefined
    readonly ends: LeaseEnds
    readonly days: number
    readonly log: Logger
  }) {
    this.#roll = roll
    this.#keyring = keyring
    this.#ends = ends
    this.#days = days
    this.#log = log
  }

  /** The time by which leases are judged. */
  now(): Date {
    return this.#keyring?.now() ?? new Date()
  }

  /** The same as a moment. */
  moment(): Moment {
    return this.momentOf(this.now())
  }

  /** A time as a moment; quick, where it is asked again and again in one second. */
  momentOf(at: Date): Moment {
    return this.#seconds.of(at).now
  }

  /** What there is for a laptop at some time; leases end by the school's calendar, if not said. */
  plan(serial: string, at: Date, ends = this.#ends): Plan {
    const entry = this.#roll.get(serial) ?? { serial }
    const { laptop, stock } = entry
    if (isStolen(entry)) return { isStolen: true, lacks: '', missing: '' }
    const { now, later } = this.#seconds.of(at)
    const { stored, missing } = this.#stored(stock, laptop, now)
    const means = this.means(serial)
    if ('lacks' in means) return { ...(stored && { stored }), lacks: means.lacks, missing }
    const order = orderOf(means, ends.of(at, this.daysOf(laptop)), later)
    const lacks =
      order === undefined
        ? `the right to sign for it ends ${said(means.basis.until)}`
        : 'the ready one lasts as long as one signed here would'
    if (order === undefined || (stored !== undefined && !isLater(order.expiry, stored.until)))
      return { ...(stored && { stored }), lacks, missing }
    return { ...(stored && { stored }), order, lacks: '', missing }
  }

  /** What a lease of so many days would be, ending at this hour, whatever the calendar says. */
  order(serial: string, at: Date, days: number): Order | undefined {
    const means = this.means(serial)
    if ('lacks' in means) return undefined
    return orderOf(
      means,
      formatMoment(new Date(at.getTime() + days * 86_400_000)),
      this.#seconds.of(at).later,
    )
  }

  /** With what something could be signed for a laptop, were its time and the clock right. */
  means(serial: string): Means {
    if (this.#keyring === undefined) return { lacks: 'there is no keyring: the plugin is off' }
    const basis = this.#keyring.basis('lease', serial)
    if (basis === undefined) return { lacks: 'the keyring has neither a key nor a delegation for it' }
    const laptop = this.#roll.get(serial)?.laptop
    const uuid = basis.uuid ?? laptop?.uuid
    if (uuid === undefined) return { lacks: 'no uuid of it is known: import a list' }
    if (laptop?.old === true && basis.version === 2)
      return { lacks: 'its firmware knows only sig01, and what is signed here is a sig02' }
    return { basis, uuid }
  }

  /** How long its leases last: as is said for itself, its group, its school, or for all. */
  daysOf(laptop: Laptop | undefined): number {
    return laptop?.days ?? this.#daysOfGroup(laptop?.group) ?? this.#daysOfGroup(laptop?.school) ?? this.#days
  }

  /** Whether laptops may have a lease: not when it has run out, or its key is none that is trusted here. */
  isGood(kept: Kept, at: Moment): boolean {
    return !hasPassed(kept.until, at) && this.#isTrusted(kept)
  }

  isStolen(serial: string): boolean {
    const entry = this.#roll.get(serial)
    return entry !== undefined && isStolen(entry)
  }

  #daysOfGroup(name: string | undefined): number | undefined {
    return name === undefined ? undefined : this.#roll.group(name)?.days
  }

  #stored(
    stock: Stock | undefined,
    laptop: Laptop | undefined,
    at: Moment,
  ): { stored?: Kept; missing: string } {
    const all = [stock?.sig01, laptop?.old === true ? undefined : stock?.sig02].filter(
      (kept) => kept !== undefined,
    )
    if (all.length === 0) {
      const isUnread = stock?.sig02 !== undefined
      return { missing: isUnread ? 'its ready lease is a sig02, which it cannot read' : 'none came ready' }
    }
    const fresh = all.filter(({ until }) => !hasPassed(until, at))
    if (fresh.length === 0) return { missing: 'the ready one has run out' }
    const [first, second] = fresh.filter((kept) => this.#isTrusted(kept))
    if (first === undefined) return { missing: 'the key of the ready one is not trusted here' }
    return {
      stored: second !== undefined && isLater(second.until, first.until) ? second : first,
      missing: '',
    }
  }

  /** A keyring that knows no key of the authority knows of none that is compromised either. */
  #isTrusted(kept: Kept): boolean {
    const trusted = this.#keyring?.trusted('lease') ?? []
    if (trusted.length === 0) return true
    const signer = this.#signerOf(kept)
    return trusted.some(({ id }) => id === signer)
  }

  #signerOf(kept: Kept): string {
    const known = this.#signers.get(kept)
    if (known !== undefined) return known
    let signer = ''
    try {
      signer = signerOf(parseLease(kept.line))
    } catch (error) {
      // It was read when it came: only a disk makes something else of it.
      this.#log.error({ err: error }, 'a ready lease is damaged, and is not given out')
    }
    this.#signers.set(kept, signer)
    return signer
  }
}

/** @param soonest what ends before is not worth a signature */
function orderOf(
  { basis, uuid }: Exclude<Means, { lacks: string }>,
  wanted: Moment,
  soonest: Moment,
): Order | undefined {
  const expiry = earliest([wanted, basis.until])
  return expiry < soonest ? undefined : { uuid, expiry, key: basis.key }
}

function signerOf({ signature }: Lease): string {
  const mark = signature.version === 1 ? signature.mark : signature.links[0]
  return mark?.key.slice(-64) ?? ''
}

/** When something ends, for people: by the clock on the wall. */
export const said = (moment: Moment): string =>
  moment === never ? 'never' : timeText(parseMoment(moment) ?? new Date(Number.NaN))
