import { PluginError, type SugarError } from '../errors.js'
import { Store } from '../store/contract.js'
import type { Plugin } from './plugin.js'

/** Who provides each token. */
export function providersOf(plugins: readonly Plugin[]): Map<string, Plugin> {
  const providers = new Map<string, Plugin>()
  for (const plugin of plugins) for (const { id } of Object.values(plugin.provides)) providers.set(id, plugin)
  return providers
}

/** The plugins without which a plugin cannot run. One that keeps documents needs whoever provides the store. */
export function neededBy(plugin: Plugin, providers: ReadonlyMap<string, Plugin>): Plugin[] {
  const ids = Object.values(plugin.needs).map(({ id }) => id)
  if (Object.keys(plugin.collections).length > 0) ids.push(Store.id)
  return others(plugin, ids, providers)
}

function others(plugin: Plugin, ids: readonly string[], providers: ReadonlyMap<string, Plugin>): Plugin[] {
  const found = ids.map((id) => providers.get(id)).filter((one) => one !== undefined && one !== plugin)
  return [...new Set(found as Plugin[])]
}

/** Tokens that a plugin needs and nobody else provides. */
export const missingFor = (plugin: Plugin, providers: ReadonlyMap<string, Plugin>): string[] =>
  Object.values(plugin.needs)
    .map(({ id }) => id)
    .filter((id) => (providers.get(id) ?? plugin) === plugin)

/**
 * The order in which plugins start: whoever is used comes first, else as listed.
 * @returns the order, or the circle that makes one impossible
 */
export function startOrder(plugins: readonly Plugin[]): Plugin[] | SugarError {
  const providers = providersOf(plugins)
  const order = new Set<Plugin>()
  const path: Plugin[] = []
  const visit = (plugin: Plugin): SugarError | undefined => {
    if (order.has(plugin)) return undefined
    if (path.includes(plugin)) {
      const circle = [...path.slice(path.indexOf(plugin)), plugin].map(({ name }) => name).join(' -> ')
      return new PluginError('PLUGIN_CYCLE', `plugins use one another in a circle: ${circle}`, {
        hint: 'disable one of them',
      })
    }
    path.push(plugin)
    const wanted = Object.values(plugin.wants).map(({ id }) => id)
    for (const used of [...neededBy(plugin, providers), ...others(plugin, wanted, providers)]) {
      const circle = visit(used)
      if (circle !== undefined) return circle
    }
    path.pop()
    order.add(plugin)
    return undefined
  }
  for (const plugin of plugins) {
    const circle = visit(plugin)
    if (circle !== undefined) return circle
  }
  return [...order]
}

/**
 * The plugins that cannot run without a plugin, directly or through others. Those that merely want it go on: their
 * calls to it then fail, which they must expect of any call.
 */
export function dependantsOf(plugin: Plugin, plugins: readonly Plugin[]): Set<Plugin> {
  const providers = providersOf(plugins)
  const found = new Set([plugin])
  // Users come behind what they use, so one pass in start order finds them all.
  for (const other of plugins)
    if (neededBy(other, providers).some((needed) => found.has(needed))) found.add(other)
  found.delete(plugin)
  return found
}
