import { homedir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { UsageError } from './errors.js'
import { nearest } from './nearest.js'

/** An option of a command. With `value`, the word that stands for its value in the help, it takes one. */
export interface Option {
  readonly value?: string
  readonly help: string
}

export type Options = Readonly<Record<string, Option>>

/** What was given on the command line: a text for options that take one, true for the others. */
export type Given<O extends Options> = {
  readonly [Name in keyof O]?: O[Name] extends { readonly value: string } ? string : true
}

/** Options that several commands share, so that they mean the same everywhere. */
export const common = {
  home: { value: 'DIR', help: 'where the laptop lives (default: ~/.sugaroid)' },
  json: { help: 'print one JSON object' },
} as const satisfies Options

export function homeDirectory(given: string | undefined): string {
  return given ?? join(homedir(), '.sugaroid')
}

function unknownOption(rawName: string, known: readonly string[]): UsageError {
  const meant = nearest(rawName.replace(/^-+/, ''), [...known, 'help'])
  return new UsageError(`unknown option ${rawName}`, meant ? `did you mean --${meant}?` : undefined)
}

function tokensOf(args: readonly string[], options: Options) {
  const types = Object.entries(options).map(
    ([name, { value }]) => [name, { type: value ? 'string' : 'boolean' } as const] as const,
  )
  return parseArgs({ args: [...args], options: Object.fromEntries(types), strict: false, tokens: true })
    .tokens
}

/**
 * Takes the first argument that is no option from among those of a command.
 * @param operand the word that stands for it in the help
 * Throws a UsageError when there is none.
 */
export function takeOperand(
  args: readonly string[],
  options: Options,
  operand: string,
): { word: string; rest: string[] } {
  const found = tokensOf(args, options).find((token) => token.kind === 'positional')
  if (found === undefined) throw new UsageError(`no ${operand} given`)
  return { word: found.value, rest: args.filter((_, index) => index !== found.index) }
}

/** Reads the arguments of a command. Throws a UsageError for what is not among its options. */
export function parseOptions<O extends Options>(args: readonly string[], options: O): Given<O> {
  const given: Record<string, string | true> = {}
  const names = Object.keys(options)
  for (const token of tokensOf(args, options)) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') throw new UsageError(`unexpected argument '${token.value}'`)
    const { name, rawName, value, inlineValue } = token
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (!option) throw unknownOption(rawName, names)
    if (option.value && (value === undefined || (!inlineValue && value.startsWith('-')))) {
      throw new UsageError(`--${name} needs a value`, `write --${name}=${option.value}`)
    }
    if (!option.value && value !== undefined) throw new UsageError(`--${name} takes no value`)
    given[name] = value ?? true
  }
  return given as Given<O>
}

/** The number that an option was given, in decimal. Throws a UsageError for what is none or out of bounds. */
export function numberOption(
  name: string,
  text: string,
  { least, most, whole = true }: { readonly least: number; readonly most: number; readonly whole?: boolean },
): number {
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most && (!whole || Number.isInteger(number))) return number
  const kind = whole ? 'a whole number' : 'a number'
  throw new UsageError(`--${name} '${text}' is out of bounds`, `write ${kind} from ${least} to ${most}`)
}

/** The options as lines of help, one each, in columns. */
export function describeOptions(options: Options): string {
  const rows = Object.entries(options).map(([name, { value, help }]) => ({
    flag: value ? `--${name} ${value}` : `--${name}`,
    help,
  }))
  const width = Math.max(...rows.map(({ flag }) => flag.length))
  return rows.map(({ flag, help }) => `  ${flag.padEnd(width)}  ${help}\n`).join('')
}
