/** A point in time on the wire: `YYYYMMDDThhmmssZ`, UTC. Texts of this form sort as the times they stand for. */
export type Moment = string

/** An expiry that never comes. */
export const never: Moment = '00000000T000000Z'

const form = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/

/** The moment in which a date lies, to the second. @throws RangeError for years that four digits cannot hold */
export function formatMoment(date: Date): Moment {
  const text = date.toISOString()
  if (text.length !== 24) throw new RangeError(`the year of ${text} has no four digits`)
  return `${text.slice(0, 19).replace(/[-:]/g, '')}Z`
}

/** @returns undefined for anything that is no moment of the calendar, as for `never` */
export function parseMoment(text: string): Date | undefined {
  const fields = form.exec(text)
  if (fields === null) return undefined
  const [, year, month, day, hour, minute, second] = fields
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return !Number.isNaN(date.getTime()) && formatMoment(date) === text ? date : undefined
}

/** Whether a text may stand where an expiry does. */
export const isExpiry = (text: string): boolean => text === never || parseMoment(text) !== undefined

/** Whether an expiry has passed. In its very second it has not. */
export const hasPassed = (expiry: Moment, at: Moment): boolean => expiry !== never && expiry < at

/** The first of several expiries to come; `never` if none does. */
export const earliest = (expiries: readonly Moment[]): Moment =>
  expiries.reduce((first, one) => (one !== never && (first === never || one < first) ? one : first), never)

/** Whether one expiry comes later than another. */
export const isLater = (one: Moment, other: Moment): boolean =>
  one !== other && other !== never && (one === never || one > other)
