import type { Column } from '../command.js'
import { withTypedCommands } from '../lib/typed-program.js'
import { printable, printableJson } from '../log/printable.js'

/** Where a command's words go. */
export interface Output {
  out(text: string): void
  err(text: string): void
}

/** The terminal, or whatever stands in its place. */
export const standardOutput: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(withTypedCommands(text)),
}

/** Rows as JSON, or as a table whose columns are as wide as their widest cell. */
export function listing<R>(rows: readonly R[], columns: readonly Column<R>[], json: boolean): string {
  return json ? `${printableJson(rows)}\n` : table(rows, columns)
}

function table<R>(rows: readonly R[], columns: readonly Column<R>[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => printable(text(row)))),
  ]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)))
  return cells
    .map(
      (line) =>
        `${line
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
