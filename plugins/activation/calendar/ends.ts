import { formatMoment, type Moment, never, parseMoment } from '../../keyring/public.js'
import type { SchoolCalendar } from './calendar.js'
import { timeText } from './day.js'

const day = 86_400_000

interface Known {
  /** Milliseconds since the epoch: from a lease that is asked for then ... */
  readonly from: number
  /** ... to one that is asked for then the end is the same. */
  readonly to: number
  readonly moment: Moment
}

/** When leases end by a calendar. A classroom that boots asks for the same day a thousand times. */
export class LeaseEnds {
  readonly #calendar: SchoolCalendar
  readonly #known = new Map<number, Known>()

  constructor(calendar: SchoolCalendar) {
    this.#calendar = calendar
  }

  /** The end of a lease of so many days that is asked for at some time. */
  of(at: Date, days: number): Moment {
    const time = at.getTime()
    const known = this.#known.get(days)
    if (known !== undefined && known.from <= time && time <= known.to) return known.moment
    const end = this.#calendar.endOfLease(at, days)
    const moment = formatMoment(end)
    this.#known.set(days, { from: time, to: end.getTime() - days * day, moment })
    return moment
  }
}

/** A time as a moment, and the moment some time later; made once a second. */
export class Seconds {
  readonly #later: number
  #second = Number.NaN
  #texts: { readonly now: Moment; readonly later: Moment } = { now: '', later: '' }

  /** @param later milliseconds */
  constructor(later: number) {
    this.#later = later
  }

  of(at: Date): { readonly now: Moment; readonly later: Moment } {
    const second = Math.floor(at.getTime() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#texts = { now: formatMoment(at), later: formatMoment(new Date(at.getTime() + this.#later)) }
    }
    return this.#texts
  }
}

/** When something ends, for people: by the clock on the wall. */
export const said = (moment: Moment): string =>
  moment === never ? 'never' : timeText(parseMoment(moment) ?? new Date(Number.NaN))
