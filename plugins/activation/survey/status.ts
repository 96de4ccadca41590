import type { Chapter } from '../../../core/api.js'
import type { Keyring } from '../../keyring/public.js'
import { dayOf, formatDay, timeText } from '../calendar/day.js'
import { said } from '../calendar/ends.js'
import type { Prospect } from '../decision/answer.js'
import type { Laptop, Theft, Visits } from '../documents.js'
import { atOdds } from '../roll/uuids.js'
import type { Survey } from './survey.js'

const soon = { leases: 7, delegations: 30 }

/** What this server does for laptops, in words. */
export async function modeOf(keyring: Keyring | undefined): Promise<string> {
  if (keyring === undefined) return 'gives out ready leases only: there is no keyring'
  const reach = keyring.reach('lease')
  if (reach === 0)
    return 'gives out ready leases only: the keyring holds neither a key of leases nor a delegation'
  const obstacle = await keyring.obstacle()
  if (obstacle !== undefined) return `signs nothing now, and gives out ready leases only: ${obstacle}`
  return reach === 'all' ? 'signs for all laptops whose uuid is known' : `signs for ${reach} laptops`
}

/** Activation's part of `sugar-server status`. */
export function statusOf(mode: string, found: Survey, connections: number): Chapter {
  const [lock] = found.locks
  const [delegation] = found.delegations
  const lines = [
    `mode       ${mode}`,
    `laptops    ${found.laptops}, ${found.ready} with ready leases, ${found.stolen} stolen; ${connections} connected`,
    `locks      ${lock === undefined ? 'no lease is known that ends' : `the next on ${lock.day}: ${lock.laptops} laptops, if they do not ask again`}`,
  ]
  if (delegation !== undefined)
    lines.push(`delegation the first to end on ${delegation.day}: of ${delegation.laptops} laptops`)
  if (found.without > 0)
    lines.push(`without    ${found.without} laptops have neither a ready lease nor a right to sign one`)
  if (found.withheld > 0)
    lines.push(
      `withheld   ${found.withheld} laptops have a ready lease that is known to be bad; "explain SERIAL" says why`,
    )
  const { laptops, ready, stolen, strange, withheld, without, locked } = found
  const twoUuids = found.atOdds.length
  return {
    lines,
    facts: {
      ...{ mode, laptops, ready, stolen, strange, withheld, without, locked, twoUuids, connections },
      nextLock: lock ?? null,
      firstDelegation: delegation ?? null,
    },
  }
}

/** Laptops that will soon get nothing any more here; undefined when there are none. */
export function endingLeases({ ends }: Survey, now: Date): string | undefined {
  const last = formatDay(dayOf(now) + soon.leases)
  const count = ends.filter(({ day, why }) => why === 'ready' && day <= last).reduce(sum, 0)
  if (count === 0) return undefined
  return `the ready leases of ${count} laptops, for which none can be signed here then, end within ${soon.leases} days: import newer ones`
}

/** Ready leases of keys that are not known here; undefined when there are none. */
export function strangeLeases({ strange }: Survey): string | undefined {
  if (strange === 0) return undefined
  return `the ready leases of ${strange} laptops are of keys that the keyring does not know, or fit another uuid than your list's: they are given out, but whether laptops take them is not known; if the keys are the authority's, import their public halves`
}

/** Laptops with two uuids, of which one is wrong; undefined when there are none. */
export const differingUuids = (found: Survey): string | undefined => atOdds(found.atOdds)

/** Delegations that have ended or will soon; undefined when there are none. */
export function endingDelegations({ delegations, ended }: Survey, now: Date): string | undefined {
  const last = formatDay(dayOf(now) + soon.delegations)
  const [first] = delegations
  const count = delegations.filter(({ day }) => day <= last).reduce(sum, 0)
  const parts: string[] = []
  if (ended > 0) parts.push(`${ended} delegations have ended`)
  if (first !== undefined && count > 0)
    parts.push(`${count} delegations end within ${soon.delegations} days, the first on ${first.day}`)
  return parts.length === 0 ? undefined : `${parts.join(', and ')}: ask the authority for new ones`
}

const sum = (all: number, { laptops }: { readonly laptops: number }): number => all + laptops

/** What is known of one laptop, for `sugar-server explain`. Never its uuid. */
export interface Known {
  readonly serial: string
  readonly laptop: Laptop | undefined
  readonly theft: Theft | undefined
  readonly visit: Visits | undefined
  /** How long its leases last. */
  readonly days: number
  readonly prospect: Prospect
  /** Whether it has one uuid in the operator's list and another in its delegation. */
  readonly isAtOdds: boolean
}

export function chapterOf({ serial, laptop, theft, visit, days, prospect, isAtOdds }: Known): Chapter {
  const { school, group, old } = laptop ?? {}
  const own = [
    ...(school === undefined ? [] : [`school ${school}`]),
    ...(group === undefined ? [] : [`group ${group}`]),
    `leases of ${days} days`,
    ...(old === true ? ['only sig01: its firmware is old'] : []),
  ]
  const { kind, until, why } = prospect
  const end = until === undefined ? '' : ` until ${said(until)}`
  const lines = [
    `laptop     ${serial}: ${own.join(', ')}`,
    `now        it would get ${kind === 'lease' ? 'a lease' : kind === 'stolen' ? 'the word STOLEN' : 'nothing'}${end}: ${why}`,
    visit === undefined
      ? 'asked      never'
      : `asked      ${timeText(new Date(visit.last))}, ${visit.count} times in all; it got ${gotOf(visit)}`,
  ]
  if (isAtOdds)
    lines.push(
      'uuid       your list has another than its delegation; leases are signed for that of the list, and if the laptop refuses them, that is the wrong one',
    )
  if (theft !== undefined) {
    const back = theft.recovered === undefined ? '' : `, back since ${timeText(new Date(theft.recovered))}`
    lines.push(`stolen     ${timeText(new Date(theft.at))}: ${theft.reason || 'no reason is said'}${back}`)
  }
  const theftFacts = theft && { reason: theft.reason, at: theft.at, recovered: theft.recovered ?? null }
  return {
    lines,
    facts: {
      ...{
        serial,
        school: school ?? null,
        group: group ?? null,
        days,
        old: old === true,
        twoUuids: isAtOdds,
      },
      now: { kind, until: until ?? null, why },
      visit: visit ?? null,
      theft: theftFacts ?? null,
    },
  }
}

function gotOf({ answer, until }: Visits): string {
  if (answer === 'lease') return `a lease until ${until === undefined ? 'some time' : said(until)}`
  return answer === 'stolen' ? 'the word STOLEN' : 'nothing'
}
