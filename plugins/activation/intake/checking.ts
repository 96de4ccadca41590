import { checkLease, formatMoment, hasPassed, type Keyring, type Moment } from '../../keyring/public.js'
import { calmly } from '../breath.js'
import type { Holder } from '../decision/standing.js'
import type { Desk } from './desk.js'
import type { FoundLease } from './leases.js'
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
  { keyring, planner }: Desk,
  signal: AbortSignal | undefined,
): Promise<GoodLease[]> {
  const at = formatMoment(planner.now())
  const good: GoodLease[] = []
  for await (const turn of calmly(found, signal)) {
    for (const lease of turn) {
      const { line, serial } = lease
      const { fault, unchecked } = look(lease, planner.holder(serial), { at, keyring })
      if (fault !== undefined) refusals.add({ line, serial, reason: fault })
      else good.push({ ...lease, ...(unchecked && { unchecked }) })
    }
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
  { text, until, signers }: FoundLease,
  { serial, uuid }: Holder,
  { at, keyring }: { at: Moment; keyring: Keyring | undefined },
): Look {
  if (hasPassed(until, at)) return { fault: `ended at ${until}` }
  const compromised = signers.find((key) => keyring?.isCompromised(key))
  if (compromised !== undefined)
    return { fault: `is signed by ${compromised.slice(-64).slice(0, 12)}, which is compromised` }
  const trusted = keyring?.trusted('lease') ?? []
  if (trusted.length === 0) return { unchecked: noKey }
  const { verdict, reason } = checkLease(text, { serial, at, trusted, ...(uuid !== undefined && { uuid }) })
  if (verdict !== 'valid') return { fault: reason }
  return uuid === undefined ? { unchecked: noUuid } : {}
}
