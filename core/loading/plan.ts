import { coreOptions } from '../config/core-options.js'
import type { Given } from '../config/layers.js'
import { type SettingProblem, type Settings, settle } from '../config/settings.js'
import { PluginError, type Problem, problemOf, SugarError } from '../errors.js'
import { missingFor, providersOf, startOrder } from '../kernel/graph.js'
import type { Plugin } from '../kernel/plugin.js'
import { able, type Enlisted, type Roster, sleepingOptions } from './roster.js'

/** Everything that is known before anything runs. */
export interface Plan {
  /** In the order in which they start; those that cannot are last. */
  members: Enlisted[]
  settings: Settings
  /** Mistakes that stop the boot. */
  problems: Problem[]
}

/**
 * The phases *resolve* and *configure*: checks every setting and puts the plugins in order.
 *
 * Mistakes of the deployer stop the boot, all listed. A plugin that is wrong in itself, or whose own settings
 * are when it did not come with the server, is marked and the others go on (docs/decisions/containment.md).
 */
export async function makePlan(
  { members, problems: listing }: Roster,
  given: readonly Given[],
): Promise<Plan> {
  const problems = [...listing]
  const owned = [
    { owner: 'core', options: coreOptions },
    ...able(members).map(({ name, options }) => ({ owner: name, options })),
  ]
  const settled = await settle(given, owned, () => sleepingOptions(members))
  for (const problem of settled.problems) blame(problem, members, problems)

  requireServices(members)
  const order = startOrder(able(members))
  if (order instanceof SugarError) problems.push(problemOf(order))
  const inOrder =
    order instanceof SugarError ? members : members.toSorted((a, b) => rank(order, a) - rank(order, b))
  return { members: inOrder, settings: settled.settings, problems }
}

const rank = (order: readonly Plugin[], { plugin, problem }: Enlisted): number =>
  plugin === undefined || problem !== undefined ? order.length : order.indexOf(plugin)

/**
 * A mistake in a third-party plugin's own settings is that plugin's; any other stops the boot. What nobody knows
 * may be an option of a plugin that could not be loaded.
 */
function blame(
  { owner, strange, ...problem }: SettingProblem,
  members: readonly Enlisted[],
  problems: Problem[],
): void {
  if (strange && members.some(({ plugin }) => plugin === undefined)) return
  const member = members.find(({ name, source }) => name === owner && source !== 'bundled')
  if (member === undefined) problems.push(problem)
  else member.problem ??= { ...problem, plugin: member.name }
}

/** Marks plugins that need what nobody provides, until none is left: one that cannot run provides nothing. */
function requireServices(members: readonly Enlisted[]): void {
  for (let marked = true; marked; ) {
    marked = false
    const providers = providersOf(able(members))
    for (const member of members) {
      if (member.plugin === undefined || member.problem !== undefined) continue
      const missing = missingFor(member.plugin, providers)
      if (missing.length === 0) continue
      const message = `${member.name} needs ${missing.join(' and ')}, which no other enabled plugin provides`
      const plugins = new Set(missing.map((id) => id.split('/')[0]))
      const hint = `enable the plugin ${[...plugins].join(' and ')}`
      member.problem = problemOf(new PluginError('SERVICE_MISSING', message, { hint, plugin: member.name }))
      marked = true
    }
  }
}
