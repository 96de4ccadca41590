import type { Logger } from '../../../core/api.js'
import {
  earliest,
  formatMoment,
  hasPassed,
  isLater,
  type Keyring,
  type Moment,
} from '../../keyring/public.js'
import type { Clock } from '../calendar/clock.js'
import { type LeaseEnds, Seconds, said } from '../calendar/ends.js'
import type { Kept, Laptop } from '../documents.js'
import { type Entry, isStolen } from '../roll/entry.js'
import type { Roll } from '../roll/roll.js'
import type { Visits } from '../roll/visits.js'
import type { Choice, Means, Order, Plan } from './plan.js'
import { type Holder, type Standing, Standings } from './standing.js'

/** A lease that ends sooner is not worth a signature: the laptop would be locked before it is home. */
const shortest = 3_600_000

/** What each laptop would get, and why. It signs nothing. */
export class Planner {
  readonly #roll: Roll
  readonly #keyring: Keyring | undefined
  readonly #visits: Pick<Visits, 'signed'>
  readonly #clock: Pick<Clock, 'now'>
  readonly #ends: LeaseEnds
  readonly #days: number
  readonly #standings: Standings
  readonly #seconds = new Seconds(shortest)

  /** @param days how long a lease lasts where nothing else is said */
  constructor({
    roll,
    keyring,
    visits,
    clock,
    ends,
    days,
    log,
  }: {
    readonly roll: Roll
    readonly keyring: Keyring | undefined
    readonly visits: Pick<Visits, 'signed'>
    /** Goes by where there is no keyring. */
    readonly clock: Pick<Clock, 'now'>
    readonly ends: LeaseEnds
    readonly days: number
    readonly log: Logger
  }) {
    this.#roll = roll
    this.#keyring = keyring
    this.#visits = visits
    this.#clock = clock
    this.#ends = ends
    this.#days = days
    this.#standings = new Standings(keyring, log)
  }

  /** The time by which leases are judged. */
  now(): Date {
    return this.#keyring?.now() ?? this.#clock.now()
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
    const { laptop } = entry
    if (isStolen(entry)) return { isStolen: true, lacks: '', missing: '' }
    const { now, later } = this.#seconds.of(at)
    const ready = this.#ready(entry, now)
    const best = this.#best(entry, ready, now)
    const there = { ...ready, ...(best !== undefined && { best }) }
    const means = this.means(serial)
    if ('lacks' in means) return { ...there, lacks: means.lacks }
    const order = orderOf(means, ends.of(at, this.daysOf(laptop)), later)
    if (order === undefined)
      return { ...there, lacks: `the right to sign for it ends ${said(means.basis.until)}` }
    if (best === undefined || best.isStrange || isLater(order.expiry, best.until))
      return { ...there, order, lacks: '' }
    const which = best.isOwn ? 'that' : 'the ready one'
    const howLong = best.until === order.expiry ? 'as long as' : 'longer than'
    return { ...there, lacks: `${which} lasts ${howLong} one signed here would` }
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
    const uuid = this.#uuidOf(serial)
    if (uuid === undefined) return { lacks: 'no uuid of it is known: import a list' }
    if (laptop?.old === true && basis.version === 2)
      return { lacks: 'its firmware knows only sig01, and what is signed here is a sig02' }
    return { basis, uuid }
  }

  /** How long its leases last: as is said for itself, its group, its school, or for all. */
  daysOf(laptop: Laptop | undefined): number {
    return laptop?.days ?? this.#daysOfGroup(laptop?.group) ?? this.#daysOfGroup(laptop?.school) ?? this.#days
  }

  /** Whether a laptop would take a lease, as far as can be seen here: it has not run out, and its key is trusted. */
  isGood(serial: string, kept: Kept, at: Moment): boolean {
    return !hasPassed(kept.until, at) && this.#standings.of(kept, this.holder(serial), at) === 'good'
  }

  /** Whether a laptop has one uuid in the operator's list and another in its delegation. That of the list counts. */
  isAtOdds(serial: string): boolean {
    const listed = this.#roll.get(serial)?.laptop?.uuid
    const delegated = listed === undefined ? undefined : this.#keyring?.basis('lease', serial)?.uuid
    return delegated !== undefined && delegated !== listed
  }

  /** A laptop as its leases are checked for it. */
  holder(serial: string): Holder {
    const uuid = this.#uuidOf(serial)
    return {
      serial,
      uuid,
      ...(this.isAtOdds(serial) && { delegated: this.#keyring?.basis('lease', serial)?.uuid }),
    }
  }

  isStolen(serial: string): boolean {
    const entry = this.#roll.get(serial)
    return entry !== undefined && isStolen(entry)
  }

  #daysOfGroup(name: string | undefined): number | undefined {
    return name === undefined ? undefined : this.#roll.group(name)?.days
  }

  #ready(
    { serial, laptop, stock }: Entry,
    at: Moment,
  ): Pick<Plan, 'stored' | 'isStrange' | 'isWithheld' | 'missing'> {
    const all = [stock?.sig01, laptop?.old === true ? undefined : stock?.sig02].filter(
      (kept) => kept !== undefined,
    )
    if (all.length === 0) {
      const isUnread = stock?.sig02 !== undefined
      return { missing: isUnread ? 'its ready lease is a sig02, which it cannot read' : 'none came ready' }
    }
    const holder = this.holder(serial)
    const found: { [K in Standing]?: Kept } = {}
    for (const kept of all) {
      if (hasPassed(kept.until, at)) continue
      const standing = this.#standings.of(kept, holder, at)
      const rival = found[standing]
      if (rival === undefined || isLater(kept.until, rival.until)) found[standing] = kept
    }
    const { good, strange, compromised, broken } = found
    if (good !== undefined) return { stored: good, missing: '' }
    if (strange !== undefined) return { stored: strange, isStrange: true, missing: '' }
    if (compromised !== undefined)
      return { isWithheld: true, missing: 'the key of the ready one is compromised' }
    if (broken !== undefined)
      return {
        isWithheld: true,
        missing: 'the ready one was changed, or is for another uuid than the one that is known',
      }
    return { missing: 'the ready one has run out' }
  }

  /** What lasts longest of the ready one and what was signed before; a key that is not known comes last. */
  #best({ serial, laptop }: Entry, { stored, isStrange }: Pick<Plan, 'stored' | 'isStrange'>, at: Moment) {
    const ready: Choice | undefined = stored && { ...stored, isStrange: isStrange === true, isOwn: false }
    const own = this.#visits.signed(serial)
    if (own === undefined || hasPassed(own.until, at) || (laptop?.old === true && !isSig01(own))) return ready
    const standing = this.#standings.of(own, this.holder(serial), at)
    if (standing === 'compromised' || standing === 'broken') return ready
    const before: Choice = { ...own, isStrange: standing === 'strange', isOwn: true }
    if (ready === undefined) return before
    const isBetter =
      before.isStrange === ready.isStrange ? isLater(before.until, ready.until) : ready.isStrange
    return isBetter ? before : ready
  }

  /** The operator's list goes before the delegation: no signature covers the uuid in that. */
  #uuidOf(serial: string): string | undefined {
    return this.#roll.get(serial)?.laptop?.uuid ?? this.#keyring?.basis('lease', serial)?.uuid
  }
}

/** Whether every firmware reads a lease. */
const isSig01 = ({ line }: Kept): boolean => /^act01: \S+ K \S+ sig01: /.test(line)

/** @param soonest what ends before is not worth a signature */
function orderOf(
  { basis, uuid }: Exclude<Means, { lacks: string }>,
  wanted: Moment,
  soonest: Moment,
): Order | undefined {
  const expiry = earliest([wanted, basis.until])
  return expiry < soonest ? undefined : { uuid, expiry, key: basis.key }
}
