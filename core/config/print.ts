import { coreOptions } from './core-options.js'
import type { Option, Options } from './option.js'
import { originText, type Setting, type Settings } from './settings.js'

const width = 100

/** The effective settings as a settings file: read back, it gives the same settings. */
export function printSettings(settings: Settings): string {
  const lines = [
    '# The settings in force. A later source wins: /etc/sugar-server.conf, ~/.local/sugar-server/config,',
    '# the command line.',
  ]
  for (const [owner, group] of groups(settings.all())) {
    lines.push('', `[${owner}]`)
    for (const { name, option, value, origin } of group) {
      lines.push('', ...comment(option.help), `# From ${originText(origin)}.`)
      if (option.secret === true) lines.push('# Its value is a secret and not shown.', `# ${name} =`)
      else lines.push(assignment(name, option.write(value)))
    }
  }
  return `${lines.join('\n')}\n`
}

/** A settings file in which every option stands with its default, commented out. */
export function printSample(plugins: readonly { name: string; summary: string; options: Options }[]): string {
  const lines = [
    '# Settings of sugar-server, for /etc/sugar-server.conf or ~/.local/sugar-server/config.',
    '# Every option has the same name on the command line: id-port = 8080 is --id-port 8080.',
    '# "sugar-server config" prints the settings in force and where each comes from.',
  ]
  const house = { name: 'core', summary: 'The house itself.', options: coreOptions as Options }
  for (const { name, summary, options } of [house, ...plugins]) {
    if (Object.keys(options).length === 0) continue
    lines.push('', `# ${summary}`, `[${name}]`)
    for (const [optionName, option] of Object.entries(options)) {
      const value = option.defaultText ?? option.write(option.default)
      lines.push('', ...comment(option.help), `# ${assignment(optionName, value)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** The default as help shows it. */
export const defaultOf = (option: Option<unknown>): string =>
  option.defaultText ?? option.write(option.default)

const assignment = (name: string, value: string): string => `${name} = ${value}`.trimEnd()

function groups(settings: readonly Setting[]): Map<string, Setting[]> {
  const found = new Map<string, Setting[]>()
  for (const setting of settings) found.set(setting.owner, [...(found.get(setting.owner) ?? []), setting])
  return found
}

function comment(text: string): string[] {
  const lines: string[] = []
  let line = '#'
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > width) {
      lines.push(line)
      line = '#'
    }
    line += ` ${word}`
  }
  return [...lines, line]
}
