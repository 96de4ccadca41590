import { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { RequestError } from '../../core/api.js'
import { Breath } from './breath.js'
import { isUuid, parseSerial } from './wire/laptop.js'

/** A laptop as a list names it. */
export interface Laptop {
  /** In capitals. */
  readonly serial: string
  /** To the letter; a secret. */
  readonly uuid: string
  /** Where the list names schools. */
  readonly school?: string
}

export interface LaptopList {
  readonly laptops: readonly Laptop[]
  /** Lines that name no laptop, counted from 1. Reasons hold no uuid. */
  readonly refused: readonly { readonly line: number; readonly reason: string }[]
}

/** Lines that are refused with a reason each; a list with more of them is something else. */
const mostRefused = 10_000
/** Bytes that are read at a time. */
const chunk = 1 << 16
const longestRecord = 4096

/** What the parser finds, without the text that it was found in. */
const faults: Readonly<Record<string, string>> = {
  CSV_MAX_RECORD_SIZE: `there are more than ${longestRecord} characters`,
  CSV_QUOTE_NOT_CLOSED: 'a quote is opened and never closed',
  INVALID_OPENING_QUOTE: 'a quote stands inside a word',
  CSV_INVALID_CLOSING_QUOTE: 'something stands behind a closing quote',
}

/**
 * Reads a list of laptops, CSV as deployments have it: `SERIAL,UUID` or `SCHOOL,SERIAL,UUID`, a comma or semicolon in
 * between, in quotes or not, with blanks, with serials in small letters, with a heading or without.
 * Source: docs/reference/protocols.md: Anti-theft, Files from the field.
 * @throws RequestError when it is no CSV
 */
export async function readLaptops(bytes: Uint8Array): Promise<LaptopList> {
  const laptops = new Map<string, Laptop & { line: number }>()
  const refused: { line: number; reason: string }[] = []
  const refuse = (line: number, reason: string) => {
    if (refused.length === mostRefused) throw noList(`more than ${mostRefused} lines name no laptop`)
    refused.push({ line, reason })
  }
  const breath = new Breath()
  let isFirst = true
  for await (const { line, cells } of rows(bytes)) {
    // Streams alone let nobody else in.
    if (breath.isDue) await breath.take()
    const isHeading = isFirst && !cells.some((cell) => parseSerial(cell) !== undefined || isUuid(cell))
    isFirst = false
    if (isHeading) continue
    const laptop = laptopOf(cells)
    if (typeof laptop === 'string') {
      refuse(line, laptop)
      continue
    }
    const before = laptops.get(laptop.serial)
    if (before === undefined) laptops.set(laptop.serial, { ...laptop, line })
    else if (before.uuid !== laptop.uuid)
      refuse(line, `${laptop.serial} has another uuid here than in line ${before.line}`)
  }
  return { laptops: [...laptops.values()].map(({ line: _, ...laptop }) => laptop), refused }
}

async function* rows(bytes: Uint8Array): AsyncGenerator<{ line: number; cells: string[] }> {
  const parser = parse({
    ...{ bom: true, info: true, trim: true, skip_empty_lines: true },
    ...{ relax_column_count: true, max_record_size: longestRecord },
    delimiter: [',', ';'],
    record_delimiter: ['\r\n', '\n', '\r'],
  })
  const source = Readable.from(pieces(bytes))
  source.on('error', (error) => parser.destroy(error))
  try {
    for await (const { info, record } of source.pipe(parser)) {
      // Blanks inside quotes are the parser's to keep.
      const cells = (record as string[]).map((cell) => cell.trim())
      while (cells.at(-1) === '') cells.pop()
      if (cells.length > 0) yield { line: info.lines, cells }
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    // Its own message shows what stands there, which may be a uuid.
    throw noList(`${faults[error.code] ?? 'what is in quotes makes no sense'} in line ${error.lines}`)
  } finally {
    source.destroy()
  }
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += chunk) yield bytes.subarray(from, from + chunk)
}

/** @returns a laptop, or why the line names none */
function laptopOf(cells: readonly string[]): Laptop | string {
  if (cells.length !== 2 && cells.length !== 3)
    return `has ${cells.length} cells, where SERIAL,UUID or SCHOOL,SERIAL,UUID is expected`
  const [named = '', uuid = ''] = cells.slice(-2)
  const serial = parseSerial(named)
  if (serial === undefined) return 'has no serial of three letters and eight hex digits'
  if (!isUuid(uuid)) return `has no uuid for ${serial}`
  const school = cells.length === 3 ? cells[0] : undefined
  return school === undefined || school === '' ? { serial, uuid } : { serial, uuid, school }
}

const noList = (why: string): RequestError =>
  new RequestError('REQUEST_INVALID', `this is no list of laptops: ${why}`, {
    hint: 'give CSV with a laptop a line, SERIAL,UUID or SCHOOL,SERIAL,UUID',
  })
