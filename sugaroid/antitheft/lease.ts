import { checkLines, type SignedFile } from './lines.js'
import { readSignatureLine } from './link.js'
import type { LockedLaptop } from './locked-laptop.js'
import { earlier, isOver } from './moment.js'
import { checkSignature } from './signature.js'
import { invalid, type Verdict } from './verdict.js'

/** A clock that is earlier has lost the time: no lease was ever made so long ago. */
const beginning = '20070101T000000Z'

function checkRest(rest: string, laptop: LockedLaptop): Verdict {
  const [, expiry = '', signatures = ''] = /^K (\d{8}T\d{6}Z) (.+)$/.exec(rest) ?? []
  const line = readSignatureLine(signatures)
  if (!line) return invalid('it is not written as act01: SN K EXPIRY and a sig01 or sig02')
  const { serial, uuid, now } = laptop
  if (isOver(expiry, now)) return invalid(`the lease ran out at ${expiry}, and it is ${now}`)
  const verdict = checkSignature(line, Buffer.from(`${serial}:${uuid}:K:${expiry}`), laptop)
  return verdict.verdict === 'valid' ? { ...verdict, expiry: earlier(expiry, verdict.expiry) } : verdict
}

/**
 * What a laptop makes of a file of leases, the keys being those of leases: the answer of a school server, or what a
 * stick has as bare lines. Facts: docs/reference/protocols.md: Anti-theft, Lines and Lease files and bundles.
 */
export function checkLease(file: SignedFile, laptop: LockedLaptop): Verdict {
  if (laptop.now < beginning) return invalid(`the clock says ${laptop.now}: before 2007 no lease is taken`)
  return checkLines(file, 'act01:', laptop, (rest) => checkRest(rest, laptop))
}
