import type { CommandSpec } from '../command.js'
import { coreOptions } from '../config/core-options.js'
import { type Given, readLayers } from '../config/layers.js'
import { flag, type Options } from '../config/option.js'
import { didYouMean } from '../config/suggest.js'
import { type Output, standardOutput } from '../control/output.js'
import { exit, RequestError } from '../errors.js'
import type { Plugin } from '../kernel/plugin.js'
import { bundledNames, loadPlugin } from '../loading/load.js'
import { makePlan } from '../loading/plan.js'
import { able, enlist, type Roster, sleepingOptions } from '../loading/roster.js'
import { version } from '../version.js'
import { parseArguments, peek, type Typed } from './args.js'
import type { Environment, HouseCommand } from './command.js'
import { acceptDirectoryCommand } from './commands/accept-directory.js'
import { check } from './commands/check.js'
import { config } from './commands/config.js'
import { explain } from './commands/explain.js'
import { plugins } from './commands/plugins.js'
import { run } from './commands/run.js'
import { status } from './commands/status.js'
import { stop } from './commands/stop.js'
import { commandHelp, pluginHelp, programHelp } from './help.js'
import { runPluginCommand } from './plugin-command.js'
import { reportProblems, reportThrown } from './report.js'

const houseCommands: readonly HouseCommand[] = [
  run,
  config,
  check,
  status,
  stop,
  plugins,
  explain,
  acceptDirectoryCommand,
]

/** The program. @returns its exit code, as sysexits.h has them */
export async function main(argv: readonly string[], output: Output = standardOutput): Promise<number> {
  try {
    return await new Program(argv, output).run()
  } catch (error) {
    return reportThrown(error, output)
  }
}

/** Options that are no settings. */
const programOptions: Options = {
  help: flag({ help: 'Show help.', default: false }),
  json: flag({ help: 'Print JSON.', default: false }),
  version: flag({ help: 'Show the version.', default: false }),
  config: { ...coreOptions.root, help: 'Read this settings file too.' },
}

/** Where relative paths start; the root, when somebody has removed the directory from under us. */
function workingDirectory(): string {
  try {
    return process.cwd()
  } catch {
    process.chdir('/')
    return '/'
  }
}

/** What was typed, once it is known what it means. */
interface Chosen {
  words: string
  spec: CommandSpec
  args: readonly string[]
  run(environment: Environment): Promise<number>
}

class Program {
  readonly #argv: readonly string[]
  readonly #output: Output
  readonly #cwd = workingDirectory()

  constructor(argv: readonly string[], output: Output) {
    this.#argv = argv
    this.#output = output
  }

  async run(): Promise<number> {
    const layers = readLayers(peek(this.#argv, 'config'))
    const roster = await enlist([...layers.given, ...this.#given([...this.#peeked('plugins')])])
    const commands = await this.#pluginsWithCommands(roster)
    const settings = await this.#settings(roster)
    const typed = this.#parse({ ...merged(commandOptions(commands)), ...programOptions, ...settings })
    if (typed.problems.length > 0) return reportProblems(typed.problems, this.#output)

    const values = Object.fromEntries(typed.options.map(({ name, text }) => [name, text]))
    if (values.version !== undefined) return this.#say(version)
    const helping = values.help !== undefined || typed.words[0] === 'help'
    const words = typed.words[0] === 'help' ? typed.words.slice(1) : typed.words
    if (helping && words.length === 0) return this.#say(programHelp(houseCommands, commands, coreOptions))
    const plugin = commands.find(({ name }) => name === words[0])
    if (
      plugin !== undefined &&
      (words.length === 1 || (helping && !Object.hasOwn(plugin.commands, words[1] ?? '')))
    ) {
      this.#say(pluginHelp(plugin))
      return helping ? exit.ok : exit.usage
    }
    const chosen = this.#choose(words, plugin)
    if (helping) return this.#say(commandHelp(chosen.words, chosen.spec))

    const flags = typed.options.filter(
      ({ name }) => Object.hasOwn(settings, name) && !Object.hasOwn(chosen.spec.options ?? {}, name),
    )
    const args = argumentsOf(chosen)
    const options = optionsOf(chosen, typed.options, settings)
    const plan = await makePlan(roster, [...layers.given, ...this.#given(flags)])
    plan.problems.unshift(...layers.problems)
    return chosen.run({
      plan,
      args,
      options,
      json: values.json !== undefined && programOptions.json?.read(values.json, { base: '/' }) === true,
      output: this.#output,
      files: layers.files,
      cwd: this.#cwd,
    })
  }

  #say(text: string): number {
    this.#output.out(text.endsWith('\n') ? text : `${text}\n`)
    return exit.ok
  }

  #parse(known: Options): Typed {
    const takesValue = (name: string) =>
      Object.hasOwn(known, name) ? known[name]?.placeholder !== undefined : undefined
    return parseArguments(this.#argv, takesValue, () => Object.keys(known))
  }

  /** Options that settings files may hold. Those of plugins that do not run are looked up only if one is used. */
  async #settings({ members }: Roster): Promise<Options> {
    const settings: Options = { ...coreOptions, ...merged(able(members).map(({ options }) => options)) }
    const used = this.#argv.flatMap((word) => /^--(?:no-)?([^=]+)/.exec(word)?.[1] ?? [])
    const strange = used.some(
      (name) => !Object.hasOwn(settings, name) && !Object.hasOwn(programOptions, name),
    )
    return strange ? { ...(await sleepingOptions(members)), ...settings } : settings
  }

  *#peeked(name: string): Generator<{ name: string; text: string }> {
    const text = peek(this.#argv, name)
    if (text !== undefined) yield { name, text }
  }

  #given(flags: readonly { name: string; text: string }[]): Given[] {
    return flags.map(({ name, text }) => ({
      name,
      text,
      base: this.#cwd,
      origin: { from: 'flag', flag: name },
    }))
  }

  /** Enabled plugins, and a bundled one whose command was typed though it is not enabled here. */
  async #pluginsWithCommands(roster: Roster): Promise<Plugin[]> {
    const enabled = able(roster.members)
    const typed = bundledNames().filter(
      (name) => this.#argv.includes(name) && !enabled.some((plugin) => plugin.name === name),
    )
    return [
      ...enabled,
      ...(await Promise.all(typed.map(async (name) => (await loadPlugin(name, '/')).plugin))),
    ]
  }

  #choose(words: readonly string[], plugin: Plugin | undefined): Chosen {
    const [first = 'run', second = ''] = words
    const house = houseCommands.find(({ name }) => name === first)
    if (house !== undefined)
      return { words: first, spec: house, args: words.slice(1), run: (environment) => house.run(environment) }
    const spec =
      plugin !== undefined && Object.hasOwn(plugin.commands, second) ? plugin.commands[second] : undefined
    if (plugin !== undefined && spec !== undefined) {
      return {
        words: `${first} ${second}`,
        spec,
        args: words.slice(2),
        run: (environment) => runPluginCommand(first, second, spec, environment),
      }
    }
    const [word, known] =
      plugin === undefined
        ? [first, [...houseCommands.map(({ name }) => name), ...bundledNames()]]
        : [`${first} ${second}`, Object.keys(plugin.commands).map((name) => `${first} ${name}`)]
    throw new RequestError('USAGE', `there is no command ${word}${didYouMean(word, known)}`, {
      hint: 'see sugar-server --help',
    })
  }
}

const merged = (all: readonly Options[]): Options => Object.assign({}, ...all) as Options

const commandOptions = (plugins: readonly Plugin[]): Options[] =>
  [...houseCommands, ...plugins.flatMap(({ commands }) => Object.values(commands))].map(
    ({ options }) => options ?? {},
  )

function argumentsOf({ words, spec, args }: Chosen): Record<string, string> {
  const named = Object.entries(spec.args ?? {})
  const hint = `see sugar-server ${words} --help`
  const missing = named.filter(([, { optional }], index) => optional !== true && args[index] === undefined)
  if (missing.length > 0) {
    const names = missing.map(([name]) => name.toUpperCase()).join(' and ')
    throw new RequestError('USAGE', `${words} needs ${names}`, { hint })
  }
  if (args.length > named.length)
    throw new RequestError('USAGE', `${words} does not take "${args[named.length]}"`, { hint })
  return Object.fromEntries(
    named.flatMap(([name], index) => (args[index] === undefined ? [] : [[name, args[index]]])),
  )
}

function optionsOf(
  { words, spec }: Chosen,
  typed: Typed['options'],
  settings: Options,
): Record<string, string> {
  const own: Record<string, string> = {}
  for (const { name, text } of typed) {
    const option = Object.hasOwn(spec.options ?? {}, name) ? spec.options?.[name] : undefined
    const before = option?.repeats === true ? own[name] : undefined
    if (option !== undefined) own[name] = before === undefined ? text : `${before}\n${text}`
    else if (!Object.hasOwn(settings, name) && !Object.hasOwn(programOptions, name))
      throw foreign(words, name)
    else if (name === 'json' && spec.lists !== true) throw foreign(words, name)
  }
  return own
}

const foreign = (words: string, name: string): RequestError =>
  new RequestError('USAGE', `${words} does not take --${name}`, { hint: `see sugar-server ${words} --help` })
