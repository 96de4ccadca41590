/** A day of the calendar where the school is, counted from 1 January 1970. Its hours are those of the process's time zone. */
export type Day = number

const milliseconds = 86_400_000

/** The day in which a moment lies, by the clock on the wall. */
export const dayOf = (date: Date): Day =>
  Math.floor(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / milliseconds)

/** The moment of an hour of a day, by the clock on the wall. */
export function momentOf(day: Day, hour: number): Date {
  const date = new Date(day * milliseconds)
  return new Date(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), hour)
}

/** 0 is Sunday. */
export const weekdayOf = (day: Day): number => (((day + 4) % 7) + 7) % 7

/** `YYYY-MM-DD` */
export const formatDay = (day: Day): string => new Date(day * milliseconds).toISOString().slice(0, 10)

/** @returns undefined for what is no day of the calendar in the form `YYYY-MM-DD` */
export function parseDay(text: string): Day | undefined {
  if (!/^[12]\d{3}-\d\d-\d\d$/.test(text)) return undefined
  const time = Date.parse(`${text}T00:00:00Z`)
  return Number.isNaN(time) || formatDay(time / milliseconds) !== text ? undefined : time / milliseconds
}

/** `2026-11-20 06:00`, by the clock on the wall. */
export function timeText(date: Date): string {
  const two = (number: number) => String(number).padStart(2, '0')
  return `${formatDay(dayOf(date))} ${two(date.getHours())}:${two(date.getMinutes())}`
}
