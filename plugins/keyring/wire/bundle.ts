import { type Canonical, formatCanonical, parseCanonical } from './canonical.js'
import { parseSerial } from './laptop.js'

/** Whether a file is a bundle rather than bare lines. */
export const isBundle = (text: string): boolean => text.startsWith('[')

/**
 * A bundle of leases: `[1,{"SERIAL":"act01: ...\n"}]`.
 * @param leases lines with their line ends, by serial
 */
export function formatBundle(leases: ReadonlyMap<string, string>): string {
  return formatCanonical([1, Object.fromEntries(leases)])
}

/**
 * @returns lines with their line ends, by serial
 * @throws Error that says what is wrong and where
 */
export function parseBundle(text: string): Map<string, string> {
  // Whatever program saved it may have ended it with a line end.
  const value = parseCanonical(text.replace(/\r?\n$/, ''))
  if (!Array.isArray(value) || value.length !== 2 || value[0] !== 1) throw new Error('is no bundle [1,{...}]')
  const members: Canonical = value[1]
  if (typeof members !== 'object' || members === null || Array.isArray(members))
    throw new Error('is no bundle [1,{...}]')
  const leases = new Map<string, string>()
  for (const [serial, lines] of Object.entries(members)) {
    if (parseSerial(serial) !== serial) throw new Error('has a name in it that is no serial')
    if (typeof lines !== 'string') throw new Error(`has no text for ${serial}`)
    leases.set(serial, lines)
  }
  return leases
}
