import {
  formatMoment,
  hasPassed,
  isLater,
  type Keyring,
  type Moment,
  never,
  parseMoment,
} from '../keyring/public.js'
import { dayOf, formatDay } from './day.js'
import type { Planner } from './plan.js'
import type { Entry, Roll } from './roll.js'
import type { Visits } from './visits.js'

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

/** Goes through the whole roll. Stolen laptops are counted, and nothing else of them. */
export function survey(sources: Sources, now: Date): Survey {
  const { keyring } = sources
  const at = formatMoment(now)
  const found = { laptops: 0, ready: 0, stolen: 0, without: 0, locked: 0, unseen: 0, ended: 0 }
  const [locks, ends, delegations] = [new Tally(), new Tally(), new Tally()]
  for (const entry of everyone(sources)) {
    found.laptops += 1
    if (isStolen(entry)) {
      found.stolen += 1
      continue
    }
    const last = sources.visits.get(entry.serial)?.until
    if (last === undefined) found.unseen += 1
    else if (hasPassed(last, at)) found.locked += 1
    else locks.add(last)
    const { ready, until, why } = lastEnd(entry, sources, now)
    if (ready) found.ready += 1
    if (until === undefined) found.without += 1
    else ends.add(until, why)
  }
  for (const { role, until } of keyring?.delegations() ?? []) {
    if (role !== 'lease') continue
    if (hasPassed(until, at)) found.ended += 1
    else delegations.add(until)
  }
  return {
    ...found,
    locks: locks.rows().map(({ day, laptops }) => ({ day, laptops })),
    ends: ends
      .rows()
      .map(({ day, laptops, more }) => ({ day, laptops, why: more as 'delegation' | 'ready' })),
    delegations: delegations.rows().map(({ day, laptops }) => ({ day, laptops })),
  }
}

/** All laptops that are known: those of the roll, and those that only a delegation names. */
export function* everyone({ roll, keyring }: Pick<Sources, 'roll' | 'keyring'>): Generator<Entry> {
  yield* roll.all()
  for (const { role, serial } of keyring?.delegations() ?? [])
    if (role === 'lease' && roll.get(serial) === undefined) yield { serial }
}

export const isStolen = ({ theft }: Entry): boolean => theft !== undefined && theft.recovered === undefined

/** Until when a laptop can be kept going here at most: by what can be signed, or by what came ready. */
function lastEnd(
  { serial }: Entry,
  { planner }: Sources,
  now: Date,
): { ready: boolean; until: Moment | undefined; why: 'delegation' | 'ready' } {
  const { stored } = planner.plan(serial, now)
  const means = planner.means(serial)
  const at = planner.momentOf(now)
  const signed = 'lacks' in means || !isLater(means.basis.until, at) ? undefined : means.basis.until
  const ready = stored !== undefined
  if (signed === undefined) return { ready, until: stored?.until, why: 'ready' }
  if (stored !== undefined && isLater(stored.until, signed))
    return { ready, until: stored.until, why: 'ready' }
  return { ready, until: signed, why: 'delegation' }
}
