import { readdir, readFile } from 'node:fs/promises'
import { HomeError, MissingProgram, UsageError } from './errors.js'
import { exit } from './exit.js'
import { nearest } from './nearest.js'
import { describeOptions, type Given, type Options, parseOptions, takeOperand } from './options.js'
import { printable } from './printable.js'
import type { Terminal } from './terminal.js'

/** What exit codes mean, by their numbers. */
export type Exits = Readonly<Record<number, string>>

/** A command: `sugaroid NAME`, where NAME is the name of its file in commands/, which exports `command`. */
export interface Command {
  readonly summary: string
  /** The word that stands in the help for the one argument that it takes; without, it takes options only. */
  readonly operand?: string
  readonly options: Options
  /** What each exit code means, where it is not for all commands the same. */
  readonly exits?: Exits
  /** Runs with the arguments after the command's name; returns the exit code. */
  run(args: readonly string[], terminal: Terminal): Promise<number>
}

/** Makes a command from its options and a function that gets them parsed, and its argument where it takes one. */
export function defineCommand<const O extends Options>(spec: {
  readonly summary: string
  readonly operand?: string
  readonly options: O
  readonly exits?: Exits
  readonly run: (given: Given<O>, terminal: Terminal, operand: string) => Promise<number>
}): Command {
  const { operand, options, run } = spec
  return {
    ...spec,
    run(args, terminal) {
      if (operand === undefined) return run(parseOptions(args, options), terminal, '')
      const { word, rest } = takeOperand(args, options, operand)
      return run(parseOptions(rest, options), terminal, word)
    },
  }
}

const folder = new URL('./commands/', import.meta.url)

async function commandNames(): Promise<string[]> {
  const files = await readdir(folder)
  return files
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -'.js'.length))
    .sort()
}

async function load(name: string): Promise<Command> {
  const { command }: { command: Command } = await import(new URL(`${name}.js`, folder).href)
  return command
}

async function help(names: readonly string[]): Promise<string> {
  const width = Math.max(...names.map((name) => name.length))
  const lines = names.map(async (name) => `  ${name.padEnd(width)}  ${(await load(name)).summary}\n`)
  return [
    'A laptop in software: behaves towards a school server as Sugar does.\n\n',
    'usage: sugaroid COMMAND [OPTIONS]\n\ncommands:\n',
    ...(await Promise.all(lines)),
    '\nsugaroid COMMAND --help tells the options of a command, sugaroid --version the version.',
  ].join('')
}

function describeExits(exits: Exits): string {
  const lines = Object.entries(exits).map(([code, meaning]) => `  ${code.padEnd(3)}  ${meaning}`)
  return `\n\nexit codes:\n${lines.join('\n')}`
}

function commandHelp(name: string, { summary, operand, options, exits }: Command): string {
  const words = operand === undefined ? name : `${name} ${operand}`
  const all = { ...options, help: { help: 'print this' } }
  const usage = `usage: sugaroid ${words} [OPTIONS]\n\noptions:\n${describeOptions(all).trimEnd()}`
  return `${summary}\n\n${usage}${exits === undefined ? '' : describeExits(exits)}`
}

async function version(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  const { version }: { version: string } = JSON.parse(text)
  return version
}

function unknownCommand(word: string, names: readonly string[]): UsageError {
  const meant = nearest(word, [...names, '--help', '--version'])
  return new UsageError(`unknown command '${word}'`, meant ? `did you mean ${meant}?` : undefined)
}

async function dispatch(args: readonly string[], terminal: Terminal): Promise<number> {
  const names = await commandNames()
  const [word, ...rest] = args
  if (word === undefined) throw new UsageError('no command given')
  if (word === '--help') terminal.print(await help(names))
  else if (word === '--version') terminal.print(await version())
  else if (!names.includes(word)) throw unknownCommand(word, names)
  else {
    const command = await load(word)
    if (!rest.includes('--help')) return await command.run(rest, terminal)
    terminal.print(commandHelp(word, command))
  }
  return exit.OK
}

/** The errors that tell what to do, and their exit codes. */
const knownErrors = [
  [UsageError, exit.USAGE],
  [HomeError, exit.IOERR],
  [MissingProgram, exit.UNAVAILABLE],
] as const

function complain(error: unknown, terminal: Terminal): number {
  const { message } = error instanceof Error ? error : { message: String(error) }
  terminal.warn(`sugaroid: ${printable(message)}`)
  const known = knownErrors.find(([kind]) => error instanceof kind)
  if (known && error instanceof known[0]) {
    terminal.warn(`  ${printable(error.hint)}`)
    return known[1]
  }
  if (error instanceof Error && 'syscall' in error) {
    terminal.warn('  check the home directory: it must exist or be creatable, writable, and not full')
    return exit.IOERR
  }
  terminal.warn('  this is a fault of sugaroid: please report it with the command that led here')
  return exit.SOFTWARE
}

/** Runs the command line `args` (without node and the script) and returns its exit code; never rejects. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(args, terminal)
  } catch (error) {
    return complain(error, terminal)
  }
}
