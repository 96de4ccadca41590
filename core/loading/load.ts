import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire, register } from 'node:module'
import { dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { trusted } from '../config/layers.js'
import { isPath } from '../config/option.js'
import { didYouMean } from '../config/suggest.js'
import { asError, ConfigError, PluginError, SugarError } from '../errors.js'
import type { Plugin } from '../kernel/plugin.js'
import { checkShape } from './shape.js'

const bundle = fileURLToPath(new URL('../../plugins', import.meta.url))
const house = fileURLToPath(new URL('../..', import.meta.url))

export type Source = 'bundled' | 'package' | 'path'

export interface Loaded {
  plugin: Plugin
  source: Source
}

/** Names of the plugins that come with the server. */
export const bundledNames = (): string[] =>
  readdirSync(bundle)
    .filter((name) => existsSync(join(bundle, name, 'plugin.js')))
    .sort()

/**
 * Finds and imports a plugin: a path, a bundled name, or an npm package, in this order.
 * @param base directory of the settings that name it; packages are looked for from there and from the server's own
 * @throws ConfigError PLUGIN_NOT_FOUND with every place tried; PluginError PLUGIN_INVALID
 */
export async function loadPlugin(word: string, base: string): Promise<Loaded> {
  const { file, source } = find(word, base)
  if (source !== 'bundled') trusted(file)
  if (!file.startsWith(house + sep)) letImportUs()
  let exported: { default?: unknown }
  try {
    exported = (await import(pathToFileURL(file).href)) as { default?: unknown }
  } catch (error) {
    if (error instanceof SugarError) throw error
    const cause = asError(error)
    throw new PluginError('PLUGIN_INVALID', `${file} cannot be loaded: ${cause.message}`, {
      hint: 'mend the plugin, or take it out of the option plugins',
      cause,
    })
  }
  return { plugin: checkShape(exported.default, file), source }
}

function find(word: string, base: string): { file: string; source: Source } {
  const tried: string[] = []
  if (isPath(word)) {
    const path = resolve(base, word)
    for (const file of candidates(path)) {
      tried.push(file)
      if (existsSync(file) && statSync(file).isFile()) return { file, source: 'path' }
    }
  } else {
    const file = join(bundle, word, 'plugin.js')
    tried.push(file)
    if (/^[a-z][a-z0-9-]*$/.test(word) && existsSync(file)) return { file, source: 'bundled' }
    for (const from of new Set([base, process.cwd(), house])) {
      const modules = join(from, 'node_modules', word)
      tried.push(modules)
      try {
        return { file: createRequire(join(from, 'x.js')).resolve(word), source: 'package' }
      } catch {
        // The next place, or the error that lists them all.
      }
    }
  }
  throw new ConfigError(
    'PLUGIN_NOT_FOUND',
    `there is no plugin ${word}${didYouMean(word, bundledNames())}; tried ${tried.join(', ')}`,
    {
      hint: 'name a bundled plugin, an installed npm package, or a path that begins with / or ./',
    },
  )
}

/** The files that a path may mean: itself, or the main module of a directory. */
function candidates(path: string): string[] {
  const manifest = join(path, 'package.json')
  const found = [
    path,
    ...['plugin.js', 'plugin.mjs', 'index.js', 'index.mjs'].map((name) => join(path, name)),
  ]
  try {
    const { main, exports } = JSON.parse(readFileSync(manifest, 'utf8')) as {
      main?: unknown
      exports?: unknown
    }
    const entry = typeof exports === 'string' ? exports : main
    if (typeof entry === 'string') found.splice(1, 0, resolve(dirname(manifest), entry))
  } catch {
    // No manifest, or none that can be read: the usual names are left.
  }
  return found
}

let letIn = false

/** Lets modules outside this package import "sugar-server": this very copy, so that errors and tokens are the same. */
function letImportUs(): void {
  if (letIn) return
  letIn = true
  register('./self-import.js', import.meta.url)
}
