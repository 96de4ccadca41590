import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire, isBuiltin, register } from 'node:module'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isPath } from '../config/option.js'
import { didYouMean } from '../config/suggest.js'
import { mustBeTrusted } from '../config/trust.js'
import { asError, ConfigError, PluginError, SugarError } from '../errors.js'
import type { Plugin } from '../kernel/plugin.js'
import { checkShape } from './shape.js'

const bundle = fileURLToPath(new URL('../../plugins', import.meta.url))
const house = fileURLToPath(new URL('../..', import.meta.url))

export type Source = 'bundled' | 'package' | 'path'

export interface Loaded {
  plugin: Plugin
  source: Source
  /** Its main module. */
  file: string
}

/** Names of the plugins that come with the server. */
export const bundledNames = (): string[] =>
  readdirSync(bundle)
    .filter((name) => existsSync(join(bundle, name, 'plugin.js')))
    .sort()

/**
 * Finds and imports a plugin: a path, a bundled name, or an npm package, in this order.
 * @param base directory of the settings file that names it, or where it was typed; packages are looked for from
 *   there and from the server's own
 * @throws ConfigError PLUGIN_NOT_FOUND with every place tried; PluginError PLUGIN_INVALID
 */
export async function loadPlugin(word: string, base: string): Promise<Loaded> {
  const { file, source } = find(word, base)
  if (source !== 'bundled') mustBeTrusted(file)
  if (!file.startsWith(house)) letImportUs()
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
  return { plugin: checkShape(exported.default, file), source, file }
}

function find(word: string, base: string): { file: string; source: Source } {
  const tried: string[] = []
  if (isPath(word)) {
    const file = moduleAt(resolve(base, word), tried)
    if (file !== undefined) return { file, source: 'path' }
  } else {
    const file = join(bundle, word, 'plugin.js')
    tried.push(file)
    if (/^[a-z][a-z0-9-]*$/.test(word) && existsSync(file)) return { file, source: 'bundled' }
    // Debian has packages by the names of some of Node's own modules, where every program finds them.
    const folders = isBuiltin(word) ? [] : [...modulesAbove(base), ...modulesAbove(house)]
    for (const folder of new Set(folders)) {
      const path = join(folder, word)
      tried.push(path)
      const module = moduleAt(path)
      if (module !== undefined) return { file: module, source: 'package' }
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

/** The folders in which Node looks for the packages that a module in `folder` imports. */
const modulesAbove = (folder: string): string[] =>
  createRequire(join(folder, 'x.js')).resolve.paths('a-package') ?? []

function moduleAt(path: string, tried: string[] = []): string | undefined {
  for (const file of candidates(path)) {
    tried.push(file)
    if (existsSync(file) && statSync(file).isFile()) return file
  }
  return undefined
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
    const entry = entryOf(exports) ?? main
    if (typeof entry === 'string') found.splice(1, 0, resolve(path, entry), `${resolve(path, entry)}.js`)
  } catch {
    // No manifest, or none that can be read: the usual names are left.
  }
  return found
}

/** What a manifest's `exports` says of the package as a whole, to those who import it. */
function entryOf(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports
  if (typeof exports !== 'object' || exports === null) return undefined
  const targets = Object.entries(exports).filter(([name]) =>
    ['.', 'node', 'import', 'default'].includes(name),
  )
  return targets.map(([, target]) => entryOf(target)).find((entry) => entry !== undefined)
}

let letIn = false

/** Lets modules outside this package import "sugar-server": this very copy, so that errors and tokens are the same. */
function letImportUs(): void {
  if (letIn) return
  letIn = true
  register('./self-import.js', import.meta.url)
}
