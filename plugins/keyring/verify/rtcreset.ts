import { never } from '../wire/moment.js'
import { rtcPayload } from '../wire/payload.js'
import { parseLine } from '../wire/record.js'
import { formatSignature } from '../wire/signature.js'
import { attempt, checkSigned } from './signed.js'
import { type ForLaptop, invalid, type LeaseQuestion, type Verdict } from './verdict.js'
import { glance, walk } from './walk.js'

const tag = 'rtc01: '

/** Unlike a lease's, a line for this laptop by a key that it does not know ends the file. */
function checkReset(line: string, question: LeaseQuestion): Verdict {
  const early = glance(line, tag, question)
  if (early !== undefined) return early
  const reset = attempt(() => parseLine(line))
  if ('fault' in reset) return invalid(reset.fault)
  if (reset.kind !== 'rtcreset') return invalid(`does not begin with "${tag}"`)
  const { current, nonce, signature } = reset
  const end = signature.version === 2 ? signature.links.at(-1)?.expiry : undefined
  if (end !== undefined && end !== never)
    return invalid(`has a sig02 whose last link ends at ${end}, where a laptop expects ${never}`)
  const verdict = checkSigned(formatSignature(signature), question, {
    payload: (uuid) => rtcPayload(question.serial, uuid, reset),
  })
  if (verdict.verdict !== 'valid') return invalid(verdict.reason)
  return {
    ...verdict,
    reason: `${verdict.reason}, for a clock that says ${current} and shows the number ${nonce}`,
  }
}

/** What laptops make of a file of `rtc01:` lines. Source: docs/reference/protocols.md: Anti-theft, Lines. */
export const checkResets = (text: string, questions: readonly LeaseQuestion[]): Generator<ForLaptop> =>
  walk(text, tag, questions, checkReset)
