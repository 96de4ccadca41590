import type { CommandSpec } from '../command.js'
import type { Output } from '../control/output.js'
import type { Plan } from '../loading/plan.js'

/** What a command of the house is given. */
export interface Environment {
  plan: Plan
  args: Record<string, string>
  /** Options of the command itself, as they were typed. */
  options: Record<string, string>
  json: boolean
  output: Output
  /** Settings files that were read. */
  files: readonly string[]
  cwd: string
}

/** A command of the house itself: `sugar-server status`. */
export interface HouseCommand extends CommandSpec {
  readonly name: string
  /** @returns the exit code */
  run(environment: Environment): Promise<number>
}
