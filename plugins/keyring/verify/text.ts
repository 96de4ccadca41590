import { RequestError } from '../../../core/api.js'
import { parseBundle } from '../wire/bundle.js'
import { parseSerial } from '../wire/laptop.js'
import { checkBundle } from './bundle.js'
import { checkDelegation, checkDelegations } from './delegation.js'
import { checkDeveloperKeys } from './developer.js'
import type { Kind } from './kind.js'
import { checkLeases } from './lease.js'
import { checkOats } from './oats.js'
import { checkResets } from './rtcreset.js'
import { attempt } from './signed.js'
import { type FileQuestion, type ForLaptop, invalid, type LeaseQuestion } from './verdict.js'
import { linesOf, serialIn } from './walk.js'

/** Laptops in a file: more leases do not fit into one that is read. */
const mostLaptops = 200_000

/** What laptops make of a file of text, by its kind. @throws RequestError USAGE when the question is not enough */
export function* judgeText(kind: Kind, text: string, question: FileQuestion): Generator<ForLaptop> {
  switch (kind) {
    case 'leases':
      return yield* checkLeases(text, asked(serialsIn(text, 'act01: '), question))
    case 'developer keys':
      return yield* checkDeveloperKeys(text, asked(serialsIn(text, 'dev01: '), question))
    case 'resets of the clock':
      return yield* checkResets(text, asked(serialsIn(text, 'rtc01: '), question))
    case 'bundle':
      return yield* judgeBundle(text, question)
    case 'delegations':
      return yield* judgeDelegations(text, question)
    case 'answer of OATS':
      return yield { serial: question.serial, verdict: checkOats(text, question) }
    case 'signature':
      return yield judgeBare(text, question)
    default:
      return
  }
}

function* judgeBundle(text: string, question: FileQuestion): Generator<ForLaptop> {
  const leases = attempt(() => parseBundle(text))
  if ('fault' in leases) yield { verdict: invalid(`is no bundle that a laptop can read: ${leases.fault}`) }
  else yield* checkBundle(leases, asked([...leases.keys()], question))
}

/** Without a serial, every line is judged: each names its laptop. */
function* judgeDelegations(text: string, question: FileQuestion): Generator<ForLaptop> {
  for (const one of checkDelegations(text, question, (serial) => uuidOf(serial, question)))
    if (question.serial === undefined || one.serial === question.serial) yield one
}

/** A bare `sig02:`, which delegates. */
function judgeBare(text: string, question: FileQuestion): ForLaptop {
  const [line = '', again] = linesOf(text)
  const { serial } = question
  if (!line.startsWith('sig02: ') || again !== undefined)
    throw new RequestError('USAGE', 'this is the signature of a file', { hint: 'name that file with --data' })
  if (serial === undefined)
    throw new RequestError('USAGE', 'a bare delegation does not say for which laptop it is', {
      hint: 'name the laptop with --serial, or, if this is the signature of a file, that file with --data',
    })
  return { serial, verdict: checkDelegation(line, serial, question) }
}

/** Serials in a file of lines, in their order. */
function serialsIn(text: string, tag: string): string[] {
  const serials = new Set<string>()
  for (const line of linesOf(text)) {
    const serial = line.startsWith(tag) ? parseSerial(serialIn(line, tag)) : undefined
    if (serial !== undefined) serials.add(serial)
    if (serials.size > mostLaptops)
      throw new RequestError('REQUEST_TOO_LARGE', `this names more than ${mostLaptops} laptops`)
  }
  return [...serials]
}

/** The questions of the laptops that are meant. */
function asked(serials: readonly string[], question: FileQuestion): LeaseQuestion[] {
  const { at, trusted } = question
  const meant = question.serial === undefined ? serials : [question.serial]
  if (meant.length > 1 && question.uuids === undefined)
    throw new RequestError(
      'USAGE',
      `this is for ${meant.length} laptops: ${meant.slice(0, 3).join(', ')}${meant.length > 3 ? ', ...' : ''}`,
      {
        hint: 'name one with --serial, or give --laptops to look from each',
      },
    )
  return meant.map((serial) => {
    const uuid = uuidOf(serial, question)
    return { serial, at, trusted, ...(uuid !== undefined && { uuid }) }
  })
}

const uuidOf = (serial: string, { uuid, uuids }: FileQuestion): string | undefined =>
  uuids?.get(serial) ?? uuid
