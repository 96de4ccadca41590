import type { PublicKey } from '../wire/key.js'
import { parseLine } from '../wire/record.js'
import { formatSignature, isSignedBy, parseSignature } from '../wire/signature.js'
import { follow, signerOf, strangerIn } from './chain.js'
import { accepted, attempt, endOf } from './signed.js'
import { type ForLaptop, invalid, noMatch, type Question, short, type Verdict } from './verdict.js'
import { linesOf } from './walk.js'

export interface DelegationQuestion extends Question {
  /** The key that should sign on. Without it the last link is not checked. */
  readonly delegate?: PublicKey | undefined
}

/**
 * Whether a `sig02` lets a key sign for a laptop.
 * Source: docs/reference/protocols.md: Anti-theft, What is signed.
 * @param text `sig02: ...` without its line end
 */
export function checkDelegation(text: string, serial: string, question: DelegationQuestion): Verdict {
  const { delegate, trusted } = question
  if (signerOf(text, trusted) === undefined) return noMatch(strangerIn(text))
  const signature = attempt(() => parseSignature(text))
  if ('fault' in signature) return invalid(signature.fault)
  if (signature.version !== 2) return invalid('has a sig01, which cannot hand over to another key')
  const outcome = follow(signature, { ...question, serial })
  if ('fault' in outcome) return invalid(outcome.fault)
  const verdict = accepted(outcome.keys, endOf(signature))
  if (delegate === undefined) return { ...verdict, unchecked: 'no key that its last link could be for' }
  const whole = follow(signature, {
    ...question,
    serial,
    seal: (key, mark, before) => isSignedBy(key, mark, before + delegate.key01),
  })
  if ('fault' in whole) return invalid(`does not let ${short(delegate.id)} sign for ${serial}`)
  return { ...verdict, reason: `${verdict.reason}, and lets ${short(delegate.id)} sign` }
}

/**
 * Checks each line of a file of `del01:` lines; blank ones are passed over, as those who take such a file in do.
 * @param uuidOf what is known of a laptop
 */
export function* checkDelegations(
  text: string,
  question: DelegationQuestion,
  uuidOf: (serial: string) => string | undefined,
): Generator<ForLaptop> {
  let number = 0
  for (const line of linesOf(text)) {
    number += 1
    if (line.trim() === '') continue
    const found = attempt(() => parseLine(line))
    if ('fault' in found || found.kind !== 'delegation') {
      yield { verdict: invalid(`line ${number} ${'fault' in found ? found.fault : 'is no "del01:"'}`) }
      continue
    }
    const { serial, uuid } = found
    const known = uuidOf(serial)
    const other = known !== undefined && known !== uuid
    const verdict = other
      ? invalid("has another uuid than the laptop's")
      : checkDelegation(formatSignature(found.signature), serial, question)
    yield { serial, verdict: { ...verdict, reason: `line ${number} ${verdict.reason}` } }
  }
}
