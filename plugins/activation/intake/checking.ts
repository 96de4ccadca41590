import { checkLease, formatMoment, hasPassed, type Moment } from '../../keyring/public.js'
import type { Trust } from '../trust.js'
import type { Desk } from './desk.js'
import type { FoundLease } from './leases.js'
import { calmly } from './lines.js'
import type { Reading } from './tally.js'

/** A lease that may be kept. */
export interface GoodLease extends FoundLease {
  /** Why nobody could say whether its laptop would take it. */
  readonly unchecked?: string
}

const noKey = 'no key of the authority is trusted here'
const noUuid = 'no uuid of the laptop is known'

/** Looks at each lease as its laptop would, as far as this server can. Those that it would not take are refused. */
export async function checkLeases(
  { found, refusals }: Reading<FoundLease>,
  { roll, keyring, planner, trust }: Desk,
  signal: AbortSignal | undefined,
): Promise<GoodLease[]> {
  const at = formatMoment(planner.now())
  const good: GoodLease[] = []
  for await (const lease of calmly(found, signal)) {
    const { line, serial } = lease
    const known = [keyring?.basis('lease', serial)?.uuid, roll.get(serial)?.laptop?.uuid]
    const uuids = [...new Set(known.filter((uuid) => uuid !== undefined))]
    const { fault, unchecked } = look(lease, { at, trust, uuids })
    if (fault !== undefined) refusals.add({ line, serial, reason: fault })
    else good.push({ ...lease, ...(unchecked && { unchecked }) })
  }
  return good
}

interface Look {
  /** Why its laptop would not take it. */
  readonly fault?: string
  /** Why that cannot be known. */
  readonly unchecked?: string
}

function look(
  { serial, text, until, signer }: FoundLease,
  { at, trust, uuids }: { at: Moment; trust: Pick<Trust, 'keys' | 'isWithdrawn'>; uuids: readonly string[] },
): Look {
  if (hasPassed(until, at)) return { fault: `ended at ${until}` }
  if (trust.isWithdrawn(signer)) return { fault: `is signed by ${signer.slice(0, 12)}, which is compromised` }
  const trusted = trust.keys()
  if (trusted.length === 0) return { unchecked: noKey }
  const question = { serial, at, trusted }
  const verdicts = (uuids.length === 0 ? [question] : uuids.map((uuid) => ({ ...question, uuid }))).map(
    (one) => checkLease(text, one),
  )
  const best = verdicts.find(({ verdict }) => verdict === 'valid') ?? verdicts[0]
  if (best?.verdict !== 'valid') return { fault: best?.reason ?? 'cannot be looked at' }
  return uuids.length === 0 ? { unchecked: noUuid } : {}
}
