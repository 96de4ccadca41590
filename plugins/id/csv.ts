import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import { RequestError } from '../../core/api.js'

// Spreadsheets run cells that begin with these, blanks before them or not, and their full-width kin; the apostrophe in
// front makes them text.
const formula = /^[\s\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r]/

/** Rows as CSV, with a header. No cell is a formula to a spreadsheet. */
export function writeCsv(
  columns: readonly string[],
  rows: readonly Readonly<Record<string, string>>[],
): string {
  const safe = rows.map((row) => columns.map((column) => guard(row[column] ?? '')))
  return stringify([[...columns], ...safe])
}

/**
 * CSV with a header; what writeCsv() guarded is as it was.
 * @throws RequestError
 */
export function readCsv(text: string): { line: number; row: Record<string, string> }[] {
  try {
    const options = {
      columns: true,
      bom: true,
      info: true,
      trim: false,
      skip_empty_lines: true,
      relax_column_count_less: true,
    } as const
    const records = parse(text, options) as unknown as {
      info: { lines: number }
      record: Record<string, string>
    }[]
    return records.map(({ info, record }) => ({
      line: info.lines,
      row: Object.fromEntries(Object.entries(record).map(([name, cell]) => [name.trim(), unguard(cell)])),
    }))
  } catch (error) {
    throw new RequestError('REQUEST_INVALID', `this is no CSV: ${(error as Error).message}`)
  }
}

const guard = (cell: string): string => (isRisky(cell) ? `'${cell}` : cell)
const unguard = (cell: string): string =>
  cell.startsWith("'") && isRisky(cell.slice(1)) ? cell.slice(1) : cell

/** Cells that a spreadsheet may run, and those that look guarded already. */
const isRisky = (cell: string): boolean =>
  formula.test(cell) || (cell.startsWith("'") && isRisky(cell.slice(1)))
