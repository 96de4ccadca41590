import {
  type Canonical,
  type CanonicalObject,
  CanonicalReader,
  isCanonicalObject,
  NotCanonical,
} from './canonical.js'
import { longestLine } from './lines.js'
import { readSignatureLine } from './link.js'
import type { Signee } from './locked-laptop.js'
import { isMoment, type Moment } from './moment.js'
import { checkSignature } from './signature.js'
import { invalid, noMatch, type Rejected, type Valid } from './verdict.js'

/** What an answer of theft deterrence tells a laptop (docs/reference/protocols.md: Anti-theft, OATS). */
export interface OatsContent {
  readonly nonce: string
  readonly time: Moment
  /** A new lease; absent while the old one will do. */
  readonly lease?: string
  readonly stolen: boolean
  /** All else that it holds, such as hints of updates. */
  readonly hints: CanonicalObject
}

export interface OatsAnswer extends OatsContent {
  /** The signed bytes, as they were sent. */
  readonly signed: Buffer
  /** The signature lines, without their ends. */
  readonly signatures: readonly string[]
}

export interface ValidOats extends Valid {
  readonly content: OatsContent
}

function contentOf(value: Canonical): OatsContent {
  if (!isCanonicalObject(value)) throw new NotCanonical('the answer holds no object')
  const { nonce, time, lease, stolen, ...hints } = value
  if (typeof nonce !== 'string') throw new NotCanonical("the answer's 'nonce' is no string")
  if (typeof time !== 'string' || !isMoment(time)) {
    throw new NotCanonical("the answer's 'time' is not written as YYYYMMDDThhmmssZ")
  }
  if (lease !== undefined && typeof lease !== 'string') {
    throw new NotCanonical("the answer's 'lease' is no string")
  }
  if (stolen !== undefined && typeof stolen !== 'boolean') {
    throw new NotCanonical("the answer's 'stolen' is neither true nor false")
  }
  return { nonce, time, ...(lease === undefined ? {} : { lease }), stolen: stolen === true, hints }
}

function lineOf(value: Canonical): string {
  const [, line] = typeof value === 'string' ? (/^([^\n]+)\n$/.exec(value) ?? []) : []
  if (line !== undefined && line.length <= longestLine) return line
  throw new NotCanonical('a signature of the answer is no line of text')
}

/** Takes an answer apart, unchecked. Throws a NotCanonical that says where it is no answer. */
export function readOats(body: Buffer): OatsAnswer {
  const reader = new CanonicalReader(body)
  reader.expect('["oatc-signed-resp",1,[')
  const start = reader.at
  reader.expect('["oatc-resp",1,')
  const content = contentOf(reader.value())
  reader.expect(']')
  const signed = Buffer.from(body.subarray(start, reader.at))
  reader.expect(',["sig",1,')
  const signatures = reader.value()
  reader.expect(']]]')
  reader.end()
  if (!Array.isArray(signatures)) throw new NotCanonical("the answer's signatures are no array")
  return { ...content, signed, signatures: signatures.map(lineOf) }
}

/**
 * What a laptop makes of an answer it has taken apart, the keys being those of theft deterrence: of several
 * signatures the first by a key that it knows decides. The uuid is not signed.
 * @param nonce what it sent with its question
 */
export function judgeOats(answer: OatsAnswer, laptop: Signee, nonce: string): ValidOats | Rejected {
  const { signed, signatures, ...content } = answer
  if (content.nonce !== nonce) return invalid(`the answer's nonce is '${content.nonce}', not '${nonce}'`)
  let skipped = 'the answer has no signature'
  for (const text of signatures) {
    const line = readSignatureLine(text)
    if (!line) return invalid('the signature of the answer is no sig01 or sig02')
    const verdict = checkSignature(line, signed, laptop)
    if (verdict.verdict === 'valid') return { ...verdict, content }
    if (verdict.verdict === 'invalid') return verdict
    skipped = verdict.reason
  }
  return noMatch(skipped)
}

/** What a laptop makes of the body of an answer: `readOats` and `judgeOats` in one, and nothing is thrown. */
export function checkOats(body: Buffer, laptop: Signee, nonce: string): ValidOats | Rejected {
  try {
    return judgeOats(readOats(body), laptop, nonce)
  } catch (error) {
    if (error instanceof NotCanonical) return invalid(error.message)
    throw error
  }
}
