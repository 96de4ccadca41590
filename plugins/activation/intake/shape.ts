import { parseSerial } from '../../keyring/public.js'
import { lines } from './lines.js'
import { cellsOf } from './records.js'

/** Where in a row what is found. */
export interface Places {
  readonly serial: number
  readonly uuid: number | undefined
  readonly school: number | undefined
}

/** How a list of laptops is written. */
export type Shape =
  /** Serial, uuid and further words. */
  | { readonly form: 'words' }
  /** `SN,UUID` or `school,SN,UUID`; with a heading, wherever that says. */
  | { readonly form: 'csv'; readonly delimiter: string; readonly heading?: Places }

const delimiters = [',', ';', '\t']

/** Lines in which a list must show what it is. */
const linesLookedAt = 20

/** How a file lists laptops; undefined when nothing at its beginning looks as if it did. */
export function shapeOf(bytes: Buffer): Shape | undefined {
  let looked = 0
  for (const { text } of lines(bytes)) {
    const shape = text === undefined ? undefined : (looked === 0 && headingOf(text)) || formOf(text)
    if (shape) return shape
    looked += 1
    if (looked === linesLookedAt) return undefined
  }
  return undefined
}

/** What columns are called, in lists from the field and by `id export --format csv`. */
const names = {
  serial: ['serial', 'serials', 'sn', 'serialnum', 'serial number', 'serial_number', 'machine_sn'],
  uuid: ['uuid', 'uuids', 'machine_uuid'],
  school: ['school'],
}

function headingOf(line: string): Shape | undefined {
  for (const delimiter of delimiters) {
    const cells = (cellsOf(line, delimiter) ?? []).map((cell) => cell.toLowerCase())
    const place = (of: keyof typeof names): number | undefined => {
      const found = cells.findIndex((cell) => names[of].includes(cell))
      return found === -1 ? undefined : found
    }
    const serial = place('serial')
    if (serial === undefined) continue
    return { form: 'csv', delimiter, heading: { serial, uuid: place('uuid'), school: place('school') } }
  }
  return undefined
}

function formOf(line: string): Shape | undefined {
  for (const delimiter of delimiters) {
    const cells = cellsOf(line, delimiter)
    if (cells !== undefined && placesIn(cells) !== undefined) return { form: 'csv', delimiter }
  }
  const [first = ''] = line.trim().split(/[\s,;]+/, 1)
  return parseSerial(first) === undefined ? undefined : { form: 'words' }
}

/** Where a row has what, by its own look: a serial comes first, or behind the school. */
export function placesIn([first = '', second = '']: readonly string[]): Places | undefined {
  if (parseSerial(first) !== undefined) return { serial: 0, uuid: 1, school: undefined }
  return parseSerial(second) === undefined ? undefined : { serial: 1, uuid: 2, school: 0 }
}
