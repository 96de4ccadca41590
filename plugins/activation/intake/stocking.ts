import { isLater } from '../../keyring/public.js'
import type { Kept, Stock } from '../documents.js'
import type { FoundLease } from './leases.js'

/**
 * What becomes of a laptop's ready leases with those of a file: of each kind the one that lasts longest. What has run
 * out, or is of a key that is compromised or not known, lasts no time at all.
 * @param found leases of this laptop
 * @param isGood whether laptops may have a lease
 * @returns undefined when all stays as it is; `taken`: those of the file that are kept from now on
 */
export function stocked<T extends FoundLease>(
  serial: string,
  before: Stock | undefined,
  found: readonly T[],
  isGood: (kept: Kept) => boolean,
): { stock: Stock; taken: readonly T[] } | undefined {
  const best: { sig01?: T; sig02?: T } = {}
  for (const lease of found) {
    const kept = before?.[lease.kind]
    const rival = best[lease.kind] ?? (kept !== undefined && isGood(kept) ? kept : undefined)
    if (rival === undefined || isLater(lease.until, rival.until)) best[lease.kind] = lease
  }
  const taken = Object.values(best)
  if (taken.length === 0) return undefined
  const fresh = Object.fromEntries(taken.map(({ kind, text: line, until }) => [kind, { line, until }]))
  return { stock: { ...before, serial, ...fresh }, taken }
}
