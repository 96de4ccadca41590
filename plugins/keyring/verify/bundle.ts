import { checkLeases } from './lease.js'
import { type ForLaptop, type LeaseQuestion, noMatch } from './verdict.js'

/**
 * What laptops make of a bundle: each takes what stands under its serial, and reads it as a file of leases.
 * Source: docs/reference/protocols.md: Anti-theft, Lease files and bundles.
 * @param leases lines by serial
 */
export function* checkBundle(
  leases: ReadonlyMap<string, string>,
  questions: readonly LeaseQuestion[],
): Generator<ForLaptop> {
  for (const question of questions) {
    const { serial } = question
    const lines = leases.get(serial)
    if (lines === undefined) yield { serial, verdict: noMatch(`nothing in it is for ${serial}`) }
    else yield* checkLeases(lines, [question])
  }
}
