import { asError, RequestError } from '../../../core/api.js'
import {
  effectiveExpiry,
  isBundle,
  type Lease,
  type Moment,
  parseBundle,
  parseLease,
  parseSerial,
} from '../../keyring/public.js'
import { calmly } from '../breath.js'
import { signersOf } from '../decision/standing.js'
import { type Line, lines, tooLong, withoutBlanks } from './lines.js'
import { type Reading, Refusals } from './tally.js'

/** A lease as a file has it: its form is right, and nothing else is known of it. */
export interface FoundLease {
  readonly line: number
  readonly serial: string
  /** Without its line end. */
  readonly text: string
  /** Until when it counts: the least of all its links. */
  readonly until: Moment
  readonly kind: 'sig01' | 'sig02'
  /** The keys of its links, by id or whole: the first is the one that its laptop must know. */
  readonly signers: readonly string[]
}

/**
 * Reads leases: lines, or a bundle.
 * @returns leases in the order of the file
 * @throws RequestError for a bundle that is none, and for what has too many lines
 */
export async function readLeases(bytes: Buffer, signal?: AbortSignal): Promise<Reading<FoundLease>> {
  const found: FoundLease[] = []
  const refusals = new Refusals()
  const all: Generator<LeaseLine> = isBundleFile(bytes) ? members(bytes) : lines(bytes)
  for await (const turn of calmly(all, signal)) {
    for (const { number: line, text, under } of turn) {
      const serial = text === undefined ? under : (under ?? serialIn(text))
      try {
        if (text === undefined) throw new Error(tooLong)
        const lease = parseLease(text)
        if (under !== undefined && under !== lease.serial) throw new Error(`holds a lease of ${lease.serial}`)
        found.push(foundIn(lease, line, text))
      } catch (error) {
        refusals.add({ line, serial, reason: asError(error).message })
      }
    }
  }
  return { found, repeated: 0, refusals }
}

/** Whether a file is a bundle of leases. */
const isBundleFile = (bytes: Buffer): boolean =>
  isBundle(withoutBlanks(bytes).subarray(0, 1).toString('latin1'))

interface LeaseLine extends Line {
  /** The serial under which it stands in a bundle. */
  readonly under?: string
}

/** Lines of a bundle, with the number that each has in the file. */
function* members(bytes: Buffer): Generator<LeaseLine> {
  const bundle = withoutBlanks(bytes)
  let above = linesIn(bytes.subarray(0, bytes.length - bundle.length).toString('latin1'))
  for (const [under, text] of bundleIn(bundle)) {
    const member = Buffer.from(text, 'latin1')
    for (const line of lines(member)) yield { ...line, number: above + line.number, under }
    above += linesIn(text)
  }
}

/** Line ends in a text. */
const linesIn = (text: string): number => text.split(/\r\n|\r|\n/).length - 1

function bundleIn(bytes: Buffer): Map<string, string> {
  try {
    return parseBundle(bytes.toString('latin1'))
  } catch (error) {
    throw new RequestError('REQUEST_INVALID', `the bundle cannot be read: ${asError(error).message}`)
  }
}

function foundIn(lease: Lease, line: number, text: string): FoundLease {
  const kind = lease.signature.version === 1 ? 'sig01' : 'sig02'
  return { line, serial: lease.serial, text, until: effectiveExpiry(lease), kind, signers: signersOf(lease) }
}

const serialIn = (text: string): string | undefined => parseSerial(/^act01: (\S{11}) /.exec(text)?.[1] ?? '')
