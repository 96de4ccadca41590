import type { CommandSpec } from '../command.js'
import type { Options } from '../config/option.js'
import { defaultOf } from '../config/print.js'
import type { Plugin } from '../kernel/plugin.js'

const page = 'docs/guide/ in the package holds the guides.'

/** `NAME` of an argument, in brackets when it may be left out. */
const argumentText = ([name, { optional }]: [string, { optional?: true }]): string =>
  optional === true ? `[${name.toUpperCase()}]` : name.toUpperCase()

const usageOf = (words: string, { args = {}, options = {}, lists }: CommandSpec): string =>
  [
    `sugar-server ${words}`,
    ...Object.entries(args).map(argumentText),
    ...(Object.keys(options).length > 0 || lists ? ['[options]'] : []),
  ].join(' ')

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}

function optionRows(options: Options): [string, string][] {
  return Object.entries(options).map(([name, option]) => {
    const left = option.placeholder === undefined ? `--${name}` : `--${name} ${option.placeholder}`
    const standard = defaultOf(option)
    const end = standard === '' || option.secret === true ? '' : ` [${standard}]`
    return [left, `${option.help}${end}`]
  })
}

/** Help for one command. */
export function commandHelp(words: string, spec: CommandSpec): string {
  const rows: [string, string][] = optionRows(spec.options ?? {})
  if (spec.lists) rows.push(['--json', 'Print JSON.'])
  return [
    `Usage: ${usageOf(words, spec)}`,
    '',
    spec.summary,
    ...(spec.args === undefined
      ? []
      : [
          '',
          'Arguments:',
          ...columns(Object.entries(spec.args).map((arg) => [argumentText(arg), arg[1].help])),
        ]),
    ...(rows.length === 0 ? [] : ['', 'Options:', ...columns(rows)]),
    '',
    'Options of the server, such as --root and --config, go with every command.',
    '',
  ].join('\n')
}

/** Help for one plugin: its commands and options. */
export function pluginHelp(plugin: Plugin): string {
  const commands = Object.entries(plugin.commands)
  const options = optionRows(plugin.options)
  return [
    `Usage: sugar-server ${plugin.name} COMMAND`,
    '',
    plugin.summary,
    ...(commands.length === 0
      ? []
      : [
          '',
          'Commands:',
          ...columns(
            commands.map(([name, spec]) => [usageOf(`${plugin.name} ${name}`, spec).slice(13), spec.summary]),
          ),
        ]),
    ...(options.length === 0 ? [] : ['', 'Options of the server:', ...columns(options)]),
    '',
  ].join('\n')
}

/** Help for the whole program. */
export function programHelp(
  commands: readonly (CommandSpec & { name: string })[],
  plugins: readonly Plugin[],
  coreOptions: Options,
): string {
  const pluginRows = plugins.flatMap(({ name, commands: own }): [string, string][] => {
    const rows = Object.entries(own)
    return rows.map(([word, spec]) => [usageOf(`${name} ${word}`, spec).slice(13), spec.summary])
  })
  return [
    'Usage: sugar-server [options]            run the server in the foreground',
    '       sugar-server COMMAND [options]',
    '',
    'A school server for Sugar and OLPC laptops.',
    '',
    'Commands:',
    ...columns(commands.map((command) => [usageOf(command.name, command).slice(13), command.summary])),
    ...(pluginRows.length === 0 ? [] : ['', 'Commands of plugins:', ...columns(pluginRows)]),
    '',
    'Options:',
    ...columns([
      ['--config FILE', 'Read this settings file too, after the usual ones.'],
      ['--help', 'Show help, for a command as well.'],
      ['--version', 'Show the version.'],
      ...optionRows(coreOptions),
    ]),
    ...plugins.flatMap(({ name, options }) =>
      Object.keys(options).length === 0 ? [] : ['', `Options of ${name}:`, ...columns(optionRows(options))],
    ),
    '',
    page,
    '',
  ].join('\n')
}
