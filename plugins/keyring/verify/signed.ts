import { asError } from '../../../core/api.js'
import { earliest, type Moment, never } from '../wire/moment.js'
import { isSignedBy, parseSignature, type Signature } from '../wire/signature.js'
import { follow, signerOf, strangerIn } from './chain.js'
import { invalid, type LeaseQuestion, noMatch, short, type Verdict } from './verdict.js'

/** Runs a parser whose error is a clause about what it parses. */
export function attempt<T extends object>(parse: () => T): T | { readonly fault: string } {
  try {
    return parse()
  } catch (error) {
    return { fault: asError(error).message }
  }
}

/** Until when a sig02 counts; what it stands under may end sooner. */
export const endOf = (signature: Signature): Moment | undefined =>
  signature.version === 1 ? undefined : earliest(signature.links.map(({ expiry }) => expiry))

const sig02Since = ' in a sig02, which firmware knows since August 2009'

/** What is to be said of a signature that holds. */
export const accepted = (keys: readonly string[], expiry: Moment | undefined): Verdict => ({
  verdict: 'valid',
  reason: `is signed by ${keys.map(short).join(', then ')}`,
  ...(expiry !== undefined && { expiry }),
  keys,
})

/**
 * Checks the signature of a line that is for this laptop.
 * @param text of the signature, `sig01: ...` or `sig02: ...`
 * @param record.payload what a sig01 signs
 * @param record.expiry of the line itself, where such a line has one
 */
export function checkSigned(
  text: string,
  question: LeaseQuestion,
  record: { payload(uuid: string): string; expiry?: Moment },
): Verdict {
  const { uuid } = question
  if (signerOf(text, question.trusted) === undefined) return noMatch(strangerIn(text))
  const signature = attempt(() => parseSignature(text))
  if ('fault' in signature) return invalid(signature.fault)
  const payload = uuid === undefined ? undefined : record.payload(uuid)
  const outcome = follow(signature, {
    ...question,
    seal: payload === undefined ? undefined : (key, mark, before) => isSignedBy(key, mark, before + payload),
  })
  if ('fault' in outcome) return invalid(outcome.fault)
  const end = endOf(signature)
  const verdict = accepted(
    outcome.keys,
    record.expiry === undefined ? end : earliest([record.expiry, end ?? never]),
  )
  const told = signature.version === 1 ? verdict : { ...verdict, reason: `${verdict.reason}${sig02Since}` }
  return uuid === undefined ? { ...told, unchecked: 'no uuid to check its last signature with' } : told
}
