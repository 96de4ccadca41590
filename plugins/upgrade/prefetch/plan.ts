import { buildName } from '../../rsync/public.js'

/** A build, and the time of day at which it is fetched. */
export interface Appointment {
  readonly name: string
  readonly hour: number
  readonly minute: number
}

const time = /^([01][0-9]|2[0-3]):([0-5][0-9])$/

/**
 * Reads a word of `upgrade-prefetch`: `NAME@HH:MM`.
 * @throws Error whose message goes behind the option's name
 */
export function parsePrefetch(word: string): Appointment {
  const at = word.indexOf('@')
  const name = word.slice(0, Math.max(0, at))
  const [, hour, minute] = time.exec(word.slice(at + 1)) ?? []
  if (!buildName.test(name) || hour === undefined)
    throw new Error(`must have words such as 13.2.0-13@02:30, the name of a build and a time, not "${word}"`)
  return { name, hour: Number(hour), minute: Number(minute) }
}

/** Milliseconds after its time in which an appointment is still kept. */
const late = 600_000

/**
 * The appointments whose time of day, by the local clock, has come since the last look. One that was missed because
 * the machine slept or its clock was set waits for its next day: its time was chosen so as not to disturb the school.
 * @param last when they were looked at before; milliseconds since 1970
 */
export function due(plan: readonly Appointment[], last: number, now: number): Appointment[] {
  return plan.filter(({ hour, minute }) => {
    const today = new Date(now).setHours(hour, minute, 0, 0)
    const before = new Date(now)
    before.setDate(before.getDate() - 1)
    const latest = today <= now ? today : before.setHours(hour, minute, 0, 0)
    return latest > last && now - latest < late
  })
}
