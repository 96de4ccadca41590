import { CanonicalReader, isCanonicalObject, NotCanonical } from './canonical.js'
import { checkLease } from './lease.js'
import type { LockedLaptop } from './locked-laptop.js'
import { invalid, noMatch, type Verdict } from './verdict.js'

/**
 * The leases of a bundle, `[1,{"SN":"act01: ...\n"}]`, by serial. Throws a NotCanonical with what a laptop
 * stumbles over. Facts: docs/reference/protocols.md: Anti-theft, Lease files and bundles.
 */
export function readBundle(bytes: Buffer): Map<string, string> {
  const reader = new CanonicalReader(bytes)
  reader.expect('[1,')
  const leases = reader.value()
  reader.expect(']')
  reader.end()
  if (!isCanonicalObject(leases)) throw new NotCanonical('the bundle holds no object of leases')
  const bundle = new Map<string, string>()
  for (const [serial, lease] of Object.entries(leases)) {
    if (typeof lease !== 'string') throw new NotCanonical(`the lease of ${serial} is no string`)
    bundle.set(serial, lease)
  }
  return bundle
}

/** What a laptop makes of the `lease.sig` of a stick, which may be a bundle or bare lines. */
export function checkStick(bytes: Buffer, laptop: LockedLaptop): Verdict {
  if (bytes.subarray(0, 1).toString() !== '[') return checkLease(bytes, laptop)
  try {
    const lease = readBundle(bytes).get(laptop.serial)
    return lease === undefined ? noMatch(`no lease in it is for ${laptop.serial}`) : checkLease(lease, laptop)
  } catch (error) {
    if (error instanceof NotCanonical) return invalid(error.message)
    throw error
  }
}
