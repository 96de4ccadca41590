import { type Moment, parseMoment } from '../wire/moment.js'

/**
 * A time that was typed: `YYYYMMDDThhmmssZ`, or a date, UTC.
 * @param second hhmmss that a date means
 * @returns undefined when it is neither
 */
export function momentOf(typed: string, second: '000000' | '235959'): Moment | undefined {
  const moment = /^\d{4}-\d\d-\d\d$/.test(typed) ? `${typed.replaceAll('-', '')}T${second}Z` : typed
  return parseMoment(moment) === undefined ? undefined : moment
}
