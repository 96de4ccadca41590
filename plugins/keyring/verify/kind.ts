import { isBundle } from '../wire/bundle.js'
import { isOats } from './oats.js'
import { linesOf } from './walk.js'

/** What a file holds. */
export type Kind =
  | 'zip'
  | 'unknown'
  | 'leases'
  | 'developer keys'
  | 'resets of the clock'
  | 'delegations'
  | 'signature'
  | 'bundle'
  | 'answer of OATS'

const tags: ReadonlyMap<string, Kind> = new Map([
  ['act01: ', 'leases'],
  ['dev01: ', 'developer keys'],
  ['rtc01: ', 'resets of the clock'],
  ['del01: ', 'delegations'],
  ['sig01: ', 'signature'],
  ['sig02: ', 'signature'],
])

/** Lines that are looked at: those of another kind may stand in front, and make a laptop refuse the file. */
const mostLines = 1000

/** What a text is, by the first tag in it. */
export function kindOf(text: string): Kind {
  if (isOats(text)) return 'answer of OATS'
  if (isBundle(text)) return 'bundle'
  let left = mostLines
  for (const line of linesOf(text)) {
    const kind = tags.get(line.slice(0, 7))
    if (kind !== undefined) return kind
    left -= 1
    if (left === 0) break
  }
  return 'unknown'
}

/** Whether the first bytes of a file are those of a zip. */
export const isZip = (bytes: Uint8Array): boolean =>
  /^PK(\x03\x04|\x05\x06)/.test(Buffer.from(bytes.subarray(0, 4)).toString('latin1'))

/** What is said of a file of no kind. */
export const noKind = `begins with none of ${[...tags.keys()].map((tag) => tag.trim()).join(', ')}, and is no bundle, answer of OATS or zip`
