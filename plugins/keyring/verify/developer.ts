import { never } from '../wire/moment.js'
import { developerPayload } from '../wire/payload.js'
import { checkSigned } from './signed.js'
import { type ForLaptop, invalid, type LeaseQuestion, type Verdict } from './verdict.js'
import { glance, walk } from './walk.js'

const tag = 'dev01: '

function checkDeveloperKey(line: string, question: LeaseQuestion): Verdict {
  const early = glance(line, tag, question)
  if (early !== undefined) return early
  const [, signature] = /^dev01: \S+ A 00000000T000000Z (.*)$/.exec(line) ?? []
  if (signature === undefined) return invalid(`is no "dev01: SERIAL A ${never} signature"`)
  return checkSigned(signature, question, {
    payload: (uuid) => developerPayload(question.serial, uuid),
    expiry: never,
  })
}

/** What laptops make of a file of `dev01:` lines. Source: docs/reference/protocols.md: Anti-theft, Lines. */
export const checkDeveloperKeys = (text: string, questions: readonly LeaseQuestion[]): Generator<ForLaptop> =>
  walk(text, tag, questions, checkDeveloperKey)
