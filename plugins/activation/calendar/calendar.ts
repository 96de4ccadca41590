import { type Day, dayOf, momentOf, parseDay, weekdayOf } from './day.js'

/** Days without school, both ends among them. */
export interface Holiday {
  readonly from: Day
  readonly to: Day
}

const names = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

/** Days that one holiday may have: a year that was mistyped would keep laptops unlocked for ages. */
const longest = 366

/** The hour at which leases end, before anybody is at school. */
const lastHour = 6

/** On which days there is school. */
export class SchoolCalendar {
  readonly #weekdays: ReadonlySet<number>
  /** In order, and apart from each other. */
  readonly #holidays: readonly Holiday[]

  private constructor(weekdays: ReadonlySet<number>, holidays: readonly Holiday[]) {
    this.#weekdays = weekdays
    this.#holidays = joined(holidays)
  }

  /**
   * @param days as the option `school-days` has them
   * @param holidays as the option `school-holidays` has them
   * @throws Error that names the word that is wrong
   */
  static parse(days: readonly string[], holidays: readonly string[]): SchoolCalendar {
    const weekdays = new Set(days.map(parseWeekday))
    if (weekdays.size === 0) throw new Error('must name at least one day')
    return new SchoolCalendar(weekdays, holidays.map(parseHoliday))
  }

  /** The first day of school from this one on. */
  from(day: Day): Day {
    let found = day
    for (;;) {
      const holiday = this.#holidayOn(found)
      if (holiday !== undefined) found = holiday.to + 1
      else if (this.#weekdays.has(weekdayOf(found))) return found
      else found += 1
    }
  }

  /** The last day of school before this one. */
  before(day: Day): Day {
    let found = day - 1
    for (;;) {
      const holiday = this.#holidayOn(found)
      if (holiday !== undefined) found = holiday.from - 1
      else if (this.#weekdays.has(weekdayOf(found))) return found
      else found -= 1
    }
  }

  /** The first 6 o'clock in the morning of a day of school that is so many times 24 hours away, or more. */
  endOfLease(now: Date, days: number): Date {
    const asked = new Date(now.getTime() + days * 86_400_000)
    const day = dayOf(asked)
    const isPast = momentOf(day, lastHour).getTime() < asked.getTime()
    return momentOf(this.from(isPast ? day + 1 : day), lastHour)
  }

  /** Itself, with one more holiday. */
  with(holiday: Holiday): SchoolCalendar {
    return new SchoolCalendar(this.#weekdays, [...this.#holidays, holiday])
  }

  #holidayOn(day: Day): Holiday | undefined {
    return this.#holidays.find(({ from, to }) => from <= day && day <= to)
  }
}

function parseWeekday(word: string): number {
  const found = names.indexOf(word.toLowerCase())
  if (found < 0) throw new Error(`must be made of ${names.join(', ')}, not "${word}"`)
  return found
}

/** @throws Error that names what is wrong */
export function parseHoliday(word: string): Holiday {
  const [first = '', last = first, ...more] = word.split('..', 3)
  const from = parseDay(first)
  const to = parseDay(last)
  if (from === undefined || to === undefined || more.length > 0)
    throw new Error(`must be made of days YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD, not "${word}"`)
  if (to < from) throw new Error(`has "${word}", which ends before it begins`)
  if (to - from >= longest) throw new Error(`has "${word}", which is longer than a year`)
  return { from, to }
}

function joined(holidays: readonly Holiday[]): Holiday[] {
  const found: Holiday[] = []
  for (const { from, to } of holidays.toSorted((a, b) => a.from - b.from)) {
    const last = found.at(-1)
    if (last !== undefined && from <= last.to + 1)
      found[found.length - 1] = { from: last.from, to: Math.max(last.to, to) }
    else found.push({ from, to })
  }
  return found
}
