/**
 * A moment as leases write it, YYYYMMDDThhmmssZ: 16 characters in UTC, which sort as text. A laptop compares
 * them and asks no calendar (docs/reference/protocols.md: Anti-theft, Lines).
 */
export type Moment = string

/** The expiry of what never runs out. */
export const never: Moment = '00000000T000000Z'

export const isMoment = (text: string): boolean => /^\d{8}T\d{6}Z$/.test(text)

export function momentOf(date: Date): Moment {
  return date.toISOString().replace(/[-:]|\.\d+/g, '')
}

/** Whether there is such a day and second in the calendar; `never` is no date. */
export function isDate(text: string): boolean {
  const iso = text.replace(/^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/, '$1-$2-$3T$4:$5:$6Z')
  const time = iso === text ? Number.NaN : Date.parse(iso)
  return !Number.isNaN(time) && momentOf(new Date(time)) === text
}

/** Whether `expiry` has passed; its own second still counts. */
export const isOver = (expiry: Moment, now: Moment): boolean => expiry !== never && now > expiry

/** The earlier of two expiries. */
export function earlier(one: Moment, other: Moment): Moment {
  if (one === never || other === never) return one === never ? other : one
  return one < other ? one : other
}
