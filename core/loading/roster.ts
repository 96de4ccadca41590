import { coreOptions } from '../config/core-options.js'
import type { Given } from '../config/layers.js'
import type { Options } from '../config/option.js'
import { originText } from '../config/settings.js'
import { ConfigError, PluginError, type Problem, problemOf, SugarError } from '../errors.js'
import type { Plugin } from '../kernel/plugin.js'
import { bundledNames, type Loaded, loadPlugin, type Source } from './load.js'

/** An enabled plugin as far as it can be judged before anything runs. */
export interface Enlisted {
  name: string
  source: Source
  /** Its main module, if it could be loaded. */
  file?: string
  /** Absent when its module is no plugin. */
  plugin?: Plugin
  /** Why it cannot run. */
  problem?: Problem
}

/** The plugins that the settings list, imported. */
export interface Roster {
  members: Enlisted[]
  /** Mistakes in the list itself; they stop the boot. */
  problems: Problem[]
}

/** Imports the plugins that the last of `given` to set the option `plugins` lists. */
export async function enlist(given: readonly Given[]): Promise<Roster> {
  const last = given.filter(({ name }) => name === 'plugins').at(-1)
  const base = last?.base ?? process.cwd()
  const words =
    last === undefined ? coreOptions.plugins.default : coreOptions.plugins.read(last.text, { base })
  const roster: Roster = { members: [], problems: [] }
  for (const word of words) await add(word, base, roster)
  if (words.length === 0)
    roster.problems.push(
      problemOf(
        new ConfigError('CONFIG_INVALID', 'plugins names no plugin', { hint: 'name one, such as id' }),
      ),
    )
  const where = last === undefined ? '' : `${originText(last.origin)}: `
  roster.problems = roster.problems.map((problem) => ({ ...problem, message: `${where}${problem.message}` }))
  claim(roster.members)
  return roster
}

/** The plugins that nothing stands against so far. */
export const able = (members: readonly Enlisted[]): Plugin[] =>
  members.flatMap(({ plugin, problem }) => (plugin !== undefined && problem === undefined ? [plugin] : []))

/**
 * Options of plugins that are installed but do not run. Deployers may leave them where they are, so that a plugin
 * can be switched off without more editing.
 */
export async function sleepingOptions(members: readonly Enlisted[]): Promise<Options> {
  const names = bundledNames().filter((name) => !members.some((member) => member.name === name))
  const loaded = await Promise.all(names.map((name) => loadPlugin(name, '/')))
  const failed = members.flatMap(({ plugin, problem }) =>
    plugin !== undefined && problem !== undefined ? [plugin] : [],
  )
  const asleep = [...loaded.map(({ plugin }) => plugin), ...failed]
  return Object.assign({}, ...asleep.map(({ options }) => options)) as Options
}

async function add(word: string, base: string, { members, problems }: Roster): Promise<void> {
  let loaded: Loaded
  try {
    loaded = await loadPlugin(word, base)
  } catch (error) {
    if (!(error instanceof SugarError)) throw error
    if (error.code === 'PLUGIN_NOT_FOUND') problems.push(problemOf(error))
    else members.push({ name: word, source: 'path', problem: problemOf(error) })
    return
  }
  const { plugin, source, file } = loaded
  const namesake = members.find(({ name }) => name === plugin.name)
  if (namesake?.source === source) {
    problems.push(listedTwice(plugin.name))
    return
  }
  if (namesake !== undefined) {
    const error = new PluginError(
      'PLUGIN_CONFLICT',
      `${word} calls itself ${plugin.name}, as another plugin does`,
      {
        hint: 'give it another name',
      },
    )
    members.push({ name: word, source, problem: problemOf(error) })
    return
  }
  members.push({ name: plugin.name, source, file, plugin })
}

export const listedTwice = (name: string): Problem =>
  problemOf(
    new ConfigError('PLUGIN_CONFLICT', `plugin ${name} is listed twice`, {
      hint: 'list it once in the option plugins',
    }),
  )

/**
 * Marks plugins that claim what another has already: an option's name or a service. Those that came with the server
 * claim first, wherever they are listed.
 */
export function claim(members: readonly Enlisted[]): void {
  const claimed = new Map<string, string>(Object.keys(coreOptions).map((name) => [`option ${name}`, 'core']))
  const bundledFirst = members.toSorted(
    (a, b) => Number(b.source === 'bundled') - Number(a.source === 'bundled'),
  )
  for (const member of bundledFirst) {
    if (member.plugin === undefined) continue
    const { name, options, provides } = member.plugin
    const claims = [
      ...Object.keys(options).map((option) => `option ${option}`),
      ...Object.values(provides).map(({ id }) => `service ${id}`),
    ]
    const taken = claims.find((one) => claimed.has(one))
    if (taken !== undefined) {
      const message = `${name} claims the ${taken}, which is ${claimed.get(taken)}'s`
      member.problem = problemOf(
        new PluginError('PLUGIN_CONFLICT', message, { hint: 'disable one of the two', plugin: name }),
      )
      continue
    }
    for (const one of claims) claimed.set(one, name)
  }
}
