import { printable } from './printable.js'
import type { Terminal } from './terminal.js'

/** A result for people: a title, then a line for each fact, then what to do next. */
export interface Report {
  readonly title: string
  readonly advice?: string | undefined
  readonly [fact: string]: string | undefined
}

/** Prints a report. A fact that is undefined is left out, an empty one is shown as `(empty)`. */
export function report(terminal: Terminal, { title, advice, ...facts }: Report): void {
  const known = Object.entries(facts).filter((fact): fact is [string, string] => fact[1] !== undefined)
  const width = Math.max(...known.map(([name]) => name.length))
  terminal.print(title)
  for (const [name, text] of known) {
    terminal.print(`  ${name.padEnd(width)}  ${printable(text) || '(empty)'}`)
  }
  if (advice) terminal.warn(advice)
}

/** Prints a result for programs: one line of JSON, errors as their messages. */
export function reportJson(terminal: Terminal, result: object): void {
  const plain = (_: string, value: unknown) => (value instanceof Error ? value.message : value)
  terminal.print(printable(JSON.stringify(result, plain)))
}
