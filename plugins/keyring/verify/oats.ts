import { type Canonical, formatCanonical, parseCanonical } from '../wire/canonical.js'
import { type Moment, parseMoment } from '../wire/moment.js'
import { isSignedBy, parseSignature } from '../wire/signature.js'
import { follow, signerOf, strangerIn } from './chain.js'
import { accepted, attempt, endOf } from './signed.js'
import { invalid, noMatch, type Question, type Verdict } from './verdict.js'

export interface OatsQuestion extends Question {
  /** The laptop that asked. A sig02 cannot be checked without it. */
  readonly serial?: string | undefined
  /** What it sent, to know the answer by. */
  readonly nonce?: string | undefined
}

interface Answer {
  /** What was signed, to the byte. */
  readonly signed: string
  readonly nonce: string
  readonly time: Moment
  /** `sig01: ...` or `sig02: ...`, without their line ends. */
  readonly signatures: readonly string[]
}

/** Whether a text is an answer of theft deterrence. */
export const isOats = (text: string): boolean => text.startsWith('["oatc-signed-resp",')

/**
 * What a laptop makes of an answer of theft deterrence; of its signatures the first by a key that it knows counts.
 * Source: docs/reference/protocols.md: Anti-theft, OATS.
 */
export function checkOats(text: string, question: OatsQuestion): Verdict {
  const { serial, nonce, trusted } = question
  const answer = attempt(() => readAnswer(text.replace(/\r?\n$/, '')))
  if ('fault' in answer) return invalid(answer.fault)
  if (nonce !== undefined && nonce !== answer.nonce)
    return invalid('answers another nonce than the one that was sent')
  const known = answer.signatures.find((one) => signerOf(one, trusted) !== undefined)
  if (known === undefined) return noMatch(strangerIn(answer.signatures[0] ?? ''))
  const signature = attempt(() => parseSignature(known))
  if ('fault' in signature) return invalid(signature.fault)
  if (signature.version === 2 && serial === undefined)
    return { verdict: 'valid', reason: 'has a sig02', unchecked: 'no serial to check its signature with' }
  const outcome = follow(signature, {
    ...question,
    serial: serial ?? '',
    seal: (key, mark, before) => isSignedBy(key, mark, before + answer.signed),
  })
  if ('fault' in outcome) return invalid(outcome.fault)
  const verdict = accepted(outcome.keys, endOf(signature))
  const told = { ...verdict, reason: `${verdict.reason} and says that it is ${answer.time}` }
  return nonce === undefined ? { ...told, unchecked: 'no nonce to know by what it answers' } : told
}

/** `["oatc-signed-resp",1,[["oatc-resp",1,{...}],["sig",1,["sig01: ...\n"]]]]` */
function readAnswer(text: string): Answer {
  const [response = null, signatures] = listIn(parseCanonical(text), 'oatc-signed-resp')
  const { nonce, time } = content(response, 'oatc-resp') as { nonce?: Canonical; time?: Canonical }
  if (typeof nonce !== 'string') throw new Error('has no nonce')
  if (typeof time !== 'string' || parseMoment(time) === undefined)
    throw new Error('has no time YYYYMMDDThhmmssZ')
  return {
    // Nothing is read that would be written otherwise: this is that part of the text, to the byte.
    signed: formatCanonical(response),
    nonce,
    time,
    signatures: listIn(signatures, 'sig').map((one) =>
      typeof one === 'string' ? one.replace(/\n$/, '') : '',
    ),
  }
}

/** What is in `["NAME",1,...]`. */
function content(value: Canonical | undefined, name: string): object {
  const [tag, version, inner] =
    Array.isArray(value) && value.length === 3 ? (value as readonly Canonical[]) : []
  if (tag !== name || version !== 1 || typeof inner !== 'object' || inner === null)
    throw new Error(`holds no ["${name}",1,...] where one should be`)
  return inner
}

function listIn(value: Canonical | undefined, name: string): readonly Canonical[] {
  const inner = content(value, name)
  if (!Array.isArray(inner)) throw new Error(`holds no list in its "${name}"`)
  return inner as readonly Canonical[]
}
