import { formatMoment, hasPassed, isLater, type Moment, never, parseMoment } from '../../keyring/public.js'
import { calmly } from '../breath.js'
import type { Holiday, SchoolCalendar } from '../calendar/calendar.js'
import { type Day, dayOf, formatDay, momentOf } from '../calendar/day.js'
import { LeaseEnds } from '../calendar/ends.js'
import type { Choice } from '../decision/plan.js'
import { type Entry, isStolen } from '../roll/entry.js'
import { everyone } from '../roll/everyone.js'
import type { Sources, Survey } from './survey.js'

/** So many laptops, on one day. */
export interface Row {
  /** `YYYY-MM-DD` */
  readonly day: string
  readonly laptops: number
  readonly why: string
}

export interface Forecast {
  readonly rows: readonly Row[]
  /** For people, beside the rows. */
  readonly notes: readonly string[]
}

/** Days that are named on which delegations end; the others come later. */
const named = 3

/** When everybody is at school, and asks. */
const hourOfAsking = 8

/** What happens until some day, if no laptop asks again from now on. */
export function forecastOf(found: Survey, last: Day): Forecast {
  const end = formatDay(last)
  const locks = found.locks.map((count) => ({ ...count, why: 'the last lease that they got ends' }))
  const ends = found.ends.map(({ day, laptops, why }) => ({
    day,
    laptops,
    why: `no lease can be given from here on: their ${why === 'delegation' ? 'delegation' : 'ready lease'} ends`,
  }))
  const rows = [...locks, ...ends].filter(({ day }) => day <= end)
  rows.sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0))
  const notes: string[] = []
  if (found.locked > 0)
    notes.push(`${laptops(found.locked)} had a lease that has ended, and did not ask since`)
  if (found.unseen > 0)
    notes.push(`${laptops(found.unseen)} never got a lease here: until when theirs last is not known`)
  if (found.without > 0)
    notes.push(`for ${laptops(found.without)} there is neither a ready lease nor the right to sign one`)
  for (const { day, laptops: count } of found.delegations.slice(0, named))
    notes.push(`the delegations of ${laptops(count)} end on ${day}`)
  if (rows.length === 0) notes.push(`nothing ends until ${end}, as far as is known`)
  return { rows, notes }
}

/**
 * What locks in a holiday if everybody asks on the last day of school before it, and nobody in it.
 * @param holiday one that has not begun
 */
export async function overHoliday(
  sources: Sources,
  calendar: SchoolCalendar,
  holiday: Holiday,
  now: Date,
): Promise<Forecast> {
  const known = calendar.with(holiday)
  const asking = momentOf(known.before(holiday.from), hourOfAsking)
  const asked = asking > now ? asking : now
  const back = known.from(holiday.to + 1)
  const span = { asked, back: formatMoment(momentOf(back, 0)) }
  const as = await locksIn(sources, new LeaseEnds(calendar), span)
  const better = await locksIn(sources, new LeaseEnds(known), span)
  const text = `${formatDay(holiday.from)}..${formatDay(holiday.to)}`
  const notes = [
    `if all ask on ${formatDay(dayOf(asked))}, and again on ${formatDay(back)}, the first day of school after it:`,
  ]
  if (as.locked > 0)
    notes.push(
      `${laptops(as.locked)} will have locked by then: the last lease that is known of them has run out, and none can be given here`,
    )
  if (as.without > 0)
    notes.push(
      `${laptops(as.without)} could get no lease at all on that day; until when theirs last is not known`,
    )
  if (as.rows.length === 0)
    notes.push(
      as.locked + as.without === 0 ? 'no laptop locks in between' : 'no other laptop locks in between',
    )
  if (better.locking < as.locking)
    notes.push(
      `put ${text} into school-holidays: then ${better.locking === 0 ? 'none' : `only ${better.locking}`} of these ${as.locking} would lock`,
    )
  if (better.locking > 0)
    notes.push(
      `${laptops(better.locking)} need a delegation or ready leases that last until ${formatDay(back)}: ask the authority for them`,
    )
  return { rows: as.rows, notes }
}

interface Locking {
  readonly rows: Row[]
  /** Laptops in the rows. */
  readonly locking: number
  /** Laptops that have locked before anybody asks, and get no lease then. */
  readonly locked: number
  /** Laptops that get no lease then, and of which no other is known. */
  readonly without: number
}

interface Span {
  readonly asked: Date
  /** A lease that ends before it ends too early. */
  readonly back: Moment
}

async function locksIn(sources: Sources, ends: LeaseEnds, { asked, back }: Span): Promise<Locking> {
  const at = formatMoment(asked)
  const counts = new Map<string, Row>()
  let [locking, locked, without] = [0, 0, 0]
  for await (const turn of calmly(everyone(sources))) {
    for (const entry of turn) {
      if (isStolen(entry)) continue
      const { order, best } = sources.planner.plan(entry.serial, asked, ends)
      const given = order?.expiry ?? best?.until
      const until = given ?? lastOf(entry, sources, at)
      const end = until === undefined ? undefined : parseMoment(until)
      if (until === undefined) without += 1
      else if (hasPassed(until, at)) locked += 1
      if (until === undefined || end === undefined || hasPassed(until, at) || !isLater(back, until)) continue
      locking += 1
      const day = formatDay(dayOf(end))
      const why = order === undefined ? whyOf(best) : reasonFor(sources, entry.serial, until)
      const before = counts.get(day + why)?.laptops ?? 0
      counts.set(day + why, { day, laptops: before + 1, why })
    }
  }
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
  return { rows, locking, locked, without }
}

/** Of a laptop that can get no lease at some time: the end of the last that it got, or else of the ready one that it had. */
function lastOf({ serial, laptop, stock }: Entry, { visits }: Sources, at: Moment): Moment | undefined {
  const got = visits.get(serial)?.until
  if (got !== undefined) return got
  const ready = [stock?.sig01, laptop?.old === true ? undefined : stock?.sig02]
  // One that has not run out is not given for another reason, and says nothing of what the laptop has.
  return ready.find((kept) => kept !== undefined && hasPassed(kept.until, at))?.until
}

const whyOf = (best: Choice | undefined): string =>
  best?.isOwn === false ? 'their ready lease ends' : 'the last lease that they got ends'

function reasonFor({ planner }: Sources, serial: string, until: Moment): string {
  const means = planner.means(serial)
  const isCut = !('lacks' in means) && means.basis.until === until && until !== never
  return isCut ? 'their delegation ends' : 'the lease that they get then ends'
}

const laptops = (count: number): string => (count === 1 ? '1 laptop' : `${count} laptops`)
