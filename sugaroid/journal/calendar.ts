import type { Random } from './random.js'

export const day = 86_400
/** A Monday: 3 March 2025, 00:00 UTC, in seconds since 1970. */
const firstDay = Date.UTC(2025, 2, 3) / 1000
const weeks = 40

/** A moment of a school year in seconds since 1970: mostly at school, sometimes in the evening or at a weekend. */
export function schoolTime(random: Random): number {
  const weekday = random.happens(0.9) ? random.below(5) : 5 + random.below(2)
  const hour = random.happens(0.8) ? 8 + random.below(7) : 15 + random.below(6)
  return firstDay + (random.below(weeks) * 7 + weekday) * day + hour * 3600 + random.below(3600)
}

/** The morning of the school day after this moment, in seconds since 1970. */
export function nextSchoolDay(seconds: number): number {
  let morning = Math.floor(seconds / day) * day + day + 8 * 3600
  while ([0, 6].includes(new Date(morning * 1000).getUTCDay())) morning += day
  return morning
}

/** As Python's isoformat() writes it, which is what Sugar keeps. */
export function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, '2025-03-03T08:00:00'.length)
}
