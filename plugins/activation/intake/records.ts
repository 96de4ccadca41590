import { parse } from 'csv-parse/sync'
import { longestLine } from '../../keyring/public.js'
import { type Line, lines, tooLong } from './lines.js'

/** A row of a table. */
export interface Row {
  readonly line: number
  readonly cells: readonly string[]
}

/** A line that could not be read as a row. */
export interface NoRow {
  readonly line: number
  readonly fault: string
}

export const isRow = (one: Row | NoRow): one is Row => 'cells' in one

/** Rows whose words are separated by commas, semicolons, tabs or blanks. */
export function* rowsOfWords(bytes: Buffer): Generator<Row | NoRow> {
  for (const { number: line, text } of lines(bytes)) {
    if (text === undefined) yield { line, fault: tooLong }
    else yield { line, cells: text.trim().split(/[\s,;]+/) }
  }
}

/**
 * Rows of CSV. A cell in quotes may hold line ends; where `accepts` does not take what comes of that, a quote that is
 * not closed spoils its own line and no other.
 */
export function* rowsOfCsv(
  bytes: Buffer,
  { delimiter, accepts }: { delimiter: string; accepts: (cells: readonly string[]) => boolean },
): Generator<Row | NoRow> {
  let open = new Open()
  for (const line of lines(bytes)) {
    if (!open.isEmpty) {
      open.add(line)
      if (open.isUndecided) continue
      const cells = open.isClosed ? cellsOf(open.text, delimiter) : undefined
      const isTaken = cells !== undefined && accepts(cells)
      if (isTaken) yield { line: open.line, cells }
      else yield* open.apart(delimiter, -1)
      open = new Open()
      if (isTaken) continue
    }
    if (isOpen(line, delimiter)) open.add(line)
    else yield rowOf(line, delimiter)
  }
  if (!open.isEmpty) yield* open.apart(delimiter)
}

/** Lines of which the first holds a quote that is not closed. */
class Open {
  readonly #lines: Line[] = []
  #length = 0
  #quotes = 0

  get isEmpty(): boolean {
    return this.#lines.length === 0
  }

  get line(): number {
    return this.#lines[0]?.number ?? 0
  }

  get text(): string {
    return this.#lines.map(({ text }) => text ?? '').join('\n')
  }

  get isClosed(): boolean {
    return this.#quotes % 2 === 0 && this.#length <= longestLine
  }

  get isUndecided(): boolean {
    return this.#quotes % 2 === 1 && this.#length <= longestLine
  }

  add(line: Line): void {
    this.#lines.push(line)
    this.#length += (line.text?.length ?? longestLine) + 1
    this.#quotes += quotesIn(line.text ?? '')
  }

  /** The first `count` of them, each for itself; the first of all holds the quote. */
  *apart(delimiter: string, count = this.#lines.length): Generator<Row | NoRow> {
    yield { line: this.line, fault: unclosed }
    for (const line of this.#lines.slice(1, count)) yield rowOf(line, delimiter)
  }
}

const unclosed = 'has a quote that is not closed'

const quotesIn = (text: string): number => text.split('"').length - 1

/** Whether a line goes on in the next. */
const isOpen = ({ text = '' }: Line, delimiter: string): boolean =>
  quotesIn(text) % 2 === 1 && cellsOf(text, delimiter) === undefined

function rowOf({ number: line, text }: Line, delimiter: string): Row | NoRow {
  if (text === undefined) return { line, fault: tooLong }
  const cells = cellsOf(text, delimiter)
  return cells === undefined ? { line, fault: unclosed } : { line, cells }
}

/** The cells of a record, without the blanks around them; undefined when a quote in it is not closed. */
export function cellsOf(text: string, delimiter: string): string[] | undefined {
  if (!text.includes('"')) return text.split(delimiter).map((cell) => cell.trim())
  try {
    const options = { delimiter, trim: true, relax_quotes: true, relax_column_count: true } as const
    const [cells, ...others] = parse(text, options) as string[][]
    // Blanks inside quotes are left to us.
    return others.length === 0 ? cells?.map((cell) => cell.trim()) : undefined
  } catch {
    return undefined
  }
}
