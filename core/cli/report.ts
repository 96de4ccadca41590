import type { Output } from '../control/output.js'
import { asError, codes, exit, type Problem, Problems, SugarError } from '../errors.js'
import { printable } from '../log/printable.js'

/** Tells mistakes, one a line with what to do about it. @returns the exit code of the first */
export function reportProblems(problems: readonly Problem[], output: Output): number {
  for (const { message, hint } of problems) {
    output.err(`sugar-server: ${printable(message)}\n`)
    if (hint !== undefined) output.err(`  ${printable(hint)}\n`)
  }
  const first = problems[0]
  return first === undefined ? exit.ok : codes[first.code].exit
}

/** Tells whatever was thrown. @returns the exit code */
export function reportThrown(thrown: unknown, output: Output): number {
  if (thrown instanceof Problems) return reportProblems(thrown.problems, output)
  if (thrown instanceof SugarError) return reportProblems([thrown], output)
  const error = asError(thrown)
  output.err(
    `sugar-server: internal error: ${printable(error.message)}\n${printable(error.stack ?? '').replaceAll('\\u000a', '\n')}\n`,
  )
  return exit.software
}
