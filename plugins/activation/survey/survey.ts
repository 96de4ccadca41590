import {
  formatMoment,
  hasPassed,
  isLater,
  type Keyring,
  type Moment,
  never,
  parseMoment,
} from '../../keyring/public.js'
import { calmly } from '../breath.js'
import { dayOf, formatDay } from '../calendar/day.js'
import type { Planner } from '../decision/planner.js'
import { type Entry, isStolen } from '../roll/entry.js'
import { everyone } from '../roll/everyone.js'
import type { Roll } from '../roll/roll.js'
import type { Visits } from '../roll/visits.js'

/** What tells until when laptops go on. */
export interface Sources {
  readonly roll: Roll
  readonly planner: Planner
  readonly visits: Visits
  readonly keyring: Keyring | undefined
}

/** How many laptops something happens to on a day. */
export interface Count {
  /** `YYYY-MM-DD` */
  readonly day: string
  readonly laptops: number
}

/** How things stand with all laptops at one time. */
export interface Survey {
  readonly laptops: number
  /** Those with a ready lease that has not run out. */
  readonly ready: number
  readonly stolen: number
  /** Those for which there is only a ready lease of a key that is not known here. */
  readonly strange: number
  /** Those whose ready leases are known to be bad. */
  readonly withheld: number
  /** Those for which nothing can be signed, nor is a ready lease left. */
  readonly without: number
  /** On which days the last leases that laptops got end; those that have ended already are `locked`. */
  readonly locks: readonly Count[]
  readonly locked: number
  /** Laptops that never got a lease here. */
  readonly unseen: number
  /** From which days on laptops can get no lease here any more, and why. */
  readonly ends: readonly (Count & { readonly why: 'delegation' | 'ready' })[]
  /** On which days delegations end; those that have ended are `ended`. */
  readonly delegations: readonly Count[]
  readonly ended: number
  /** Serials of those with one uuid in the list and another in their delegation, sorted. */
  readonly atOdds: readonly string[]
}

/** Counts laptops by the day on which something of theirs ends, and by whatever else. */
class Tally {
  /** By moment: many end together, and to find out the day of each would take long. */
  readonly #counts = new Map<string, number>()

  add(until: Moment, more = ''): void {
    const key = `${until} ${more}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** The first days first. What never ends is left out. */
  rows(): { day: string; laptops: number; more: string }[] {
    const byDay = new Map<string, number>()
    for (const [key, laptops] of this.#counts) {
      const date = parseMoment(key.slice(0, momentLength))
      if (date === undefined) continue
      const name = `${formatDay(dayOf(date))}${key.slice(momentLength)}`
      byDay.set(name, (byDay.get(name) ?? 0) + laptops)
    }
    const rows = [...byDay].sort(([a], [b]) => (a < b ? -1 : 1))
    return rows.map(([name, laptops]) => ({ day: name.slice(0, 10), laptops, more: name.slice(11) }))
  }
}

const momentLength = never.length

/** Goes through the whole roll, while laptops are served. Stolen laptops are counted, and nothing else of them. */
export async function survey(sources: Sources, now: Date): Promise<Survey> {
  const { keyring } = sources
  const at = formatMoment(now)
  const found = {
    laptops: 0,
    ready: 0,
    stolen: 0,
    strange: 0,
    withheld: 0,
    without: 0,
    locked: 0,
    unseen: 0,
    ended: 0,
  }
  const atOdds: string[] = []
  const [locks, ends, delegations] = [new Tally(), new Tally(), new Tally()]
  for await (const turn of calmly(everyone(sources))) {
    for (const entry of turn) {
      found.laptops += 1
      if (isStolen(entry)) {
        found.stolen += 1
        continue
      }
      if (sources.planner.isAtOdds(entry.serial)) atOdds.push(entry.serial)
      const last = sources.visits.get(entry.serial)?.until
      if (last === undefined) found.unseen += 1
      else if (hasPassed(last, at)) found.locked += 1
      else locks.add(last)
      const { ready, isStrange, isWithheld, until, why } = lastEnd(entry, sources, now)
      if (isStrange) found.strange += 1
      if (isWithheld) found.withheld += 1
      if (ready) found.ready += 1
      if (until === undefined) found.without += 1
      else ends.add(until, why)
    }
  }
  for (const { role, until } of keyring?.delegations() ?? []) {
    if (role !== 'lease') continue
    if (hasPassed(until, at)) found.ended += 1
    else delegations.add(until)
  }
  return {
    ...found,
    atOdds: atOdds.sort(),
    locks: locks.rows().map(({ day, laptops }) => ({ day, laptops })),
    ends: ends
      .rows()
      .map(({ day, laptops, more }) => ({ day, laptops, why: more as 'delegation' | 'ready' })),
    delegations: delegations.rows().map(({ day, laptops }) => ({ day, laptops })),
  }
}

interface LastEnd {
  readonly ready: boolean
  /** All that there is for it is a ready lease of a key that is not known here. */
  readonly isStrange: boolean
  readonly isWithheld: boolean
  readonly until: Moment | undefined
  readonly why: 'delegation' | 'ready'
}

/** Until when a laptop can be kept going here at most: by what can be signed, or by what came ready. */
function lastEnd({ serial }: Entry, { planner }: Sources, now: Date): LastEnd {
  const plan = planner.plan(serial, now)
  const means = planner.means(serial)
  const signed =
    'lacks' in means || !isLater(means.basis.until, planner.momentOf(now)) ? undefined : means.basis.until
  const found = {
    ready: plan.stored !== undefined,
    isStrange: plan.isStrange === true && signed === undefined,
    isWithheld: plan.isWithheld === true,
  }
  const ready = plan.stored?.until
  if (signed === undefined) return { ...found, until: ready, why: 'ready' }
  const isBest = ready !== undefined && plan.isStrange !== true && isLater(ready, signed)
  return isBest ? { ...found, until: ready, why: 'ready' } : { ...found, until: signed, why: 'delegation' }
}
