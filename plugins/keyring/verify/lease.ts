import { isExpiry, type Moment } from '../wire/moment.js'
import { leasePayload } from '../wire/payload.js'
import { checkSigned } from './signed.js'
import { type ForLaptop, invalid, type LeaseQuestion, overSince, type Verdict } from './verdict.js'
import { glance, walk } from './walk.js'

export type { LeaseQuestion, Verdict } from './verdict.js'

/** A laptop whose clock is earlier knows that it is wrong, and takes no lease at all. */
const firstMoment: Moment = '20070101T000000Z'

/**
 * What a laptop makes of one line of leases.
 * Source: docs/reference/protocols.md: Anti-theft, Lease files and bundles.
 * @param text `act01: ...`, a line end behind it or not
 */
export function checkLease(text: string, question: LeaseQuestion): Verdict {
  const line = text.replace(/\r?\n$/, '')
  const early = glance(line, 'act01: ', question)
  if (early !== undefined) return early
  const [, expiry = '', signature = ''] = /^act01: \S+ K (\S{16}) (.*)$/.exec(line) ?? []
  if (!isExpiry(expiry)) return invalid('is no "act01: SERIAL K EXPIRY signature"')
  if (question.at < firstMoment)
    return invalid(`does not count while the clock says ${question.at}: before 2007 no lease is taken`)
  const over = overSince(expiry, question.at)
  if (over !== undefined) return invalid(over)
  return checkSigned(signature, question, {
    payload: (uuid) => leasePayload(question.serial, uuid, expiry),
    expiry,
  })
}

/** What laptops make of a file of such lines. */
export const checkLeases = (text: string, questions: readonly LeaseQuestion[]): Generator<ForLaptop> =>
  walk(text, 'act01: ', questions, checkLease)
