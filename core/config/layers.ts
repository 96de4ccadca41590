import { readFileSync, type Stats, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, extname, join, resolve } from 'node:path'
import { cosmiconfigSync } from 'cosmiconfig'
import { ConfigError, type Problem, problemOf, systemCode } from '../errors.js'
import { type Ini, parseIni } from './ini.js'
import { mustBeTrusted } from './trust.js'

/** Where a value came from. */
export type Origin =
  | { from: 'default' }
  | { from: 'file'; file: string; line: number }
  | { from: 'flag'; flag: string }

/** One value as it was written, before anybody knows its option. */
export interface Given {
  name: string
  /** The `[section]` it stands under; flags have none. */
  section?: string
  text: string
  origin: Origin
  /** Directory that relative paths in it start from. */
  base: string
}

export interface Layers {
  /** In the order in which they apply: later wins. */
  given: Given[]
  problems: Problem[]
  /** Files that were read. */
  files: string[]
}

const systemFile = '/etc/sugar-server.conf'
const userFile = (): string => join(homedir(), '.local', 'sugar-server', 'config')

const largest = 1 << 20

/**
 * The files of `sugar-server config`, in order (docs/reference/protocols.md, Configuration), then `extra` if given.
 * The first two may be absent; `extra` may not.
 */
export function readLayers(extra?: string): Layers {
  const layers: Layers = { given: [], problems: [], files: [] }
  for (const file of [systemFile, userFile()]) readLayer(file, layers, { optional: true })
  if (extra !== undefined) readLayer(resolve(extra), layers, { optional: false })
  return layers
}

function readLayer(file: string, layers: Layers, { optional }: { optional: boolean }): void {
  let ini: Ini
  try {
    if (!check(file, optional)) return
    ini = load(file)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    layers.problems.push(problemOf(error))
    return
  }
  layers.files.push(file)
  for (const { line, message } of ini.mistakes) {
    layers.problems.push({ code: 'CONFIG_INVALID', message: `${file}:${line}: ${message}` })
  }
  const told = new Set(ini.mistakes.map(({ line }) => line))
  const seen = new Map<string, number>()
  for (const { name, value, line, section } of ini.entries) {
    const before = seen.get(name)
    if (before !== undefined && !told.has(line)) {
      const message = `${file}:${line}: option ${name} in [${section}] was set on line ${before} already`
      layers.problems.push({ code: 'CONFIG_INVALID', message, hint: 'keep one of the two' })
    }
    seen.set(name, line)
    layers.given.push({
      name,
      section,
      // A value may begin on the line behind its name; to Python the line end is then part of it.
      text: value.replace(/^\n+/, ''),
      origin: { from: 'file', file, line },
      base: dirname(file),
    })
  }
}

/**
 * Settings name code that will run, so a file that strangers can write is refused.
 * @returns false when the file may be and is absent
 */
function check(file: string, optional: boolean): boolean {
  const stats = stat(file, optional)
  if (stats === undefined) return false
  if (!stats.isFile()) throw unreadable(`${file} is not a file`, 'name a settings file')
  if (stats.size > largest) throw unreadable(`${file} is larger than 1 MiB`, 'name a settings file')
  mustBeTrusted(file, stats)
  return true
}

function stat(file: string, optional: boolean): Stats | undefined {
  try {
    return statSync(file)
  } catch (error) {
    const code = systemCode(error)
    if (optional && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined
    if (code === 'ENOENT') throw unreadable(`${file} does not exist`, 'check the path behind --config')
    throw unreadable(`${file} cannot be read (${code})`, 'let this user read it')
  }
}

function load(file: string): Ini {
  // cosmiconfig looks for settings of its own, JavaScript included, in the working directory as it is set up:
  // that must not be a stranger's.
  const cwd = process.cwd()
  process.chdir('/')
  try {
    const loader = (_: string, content: string): Ini => parseIni(content)
    const extension = extname(file) === '' ? 'noExt' : extname(file)
    const explorer = cosmiconfigSync('sugar-server', { loaders: { [extension]: loader }, cache: false })
    decodable(file)
    return (explorer.load(file)?.config as Ini | undefined) ?? { entries: [], mistakes: [] }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw unreadable(
      `${file} cannot be read (${systemCode(error) ?? 'unknown cause'})`,
      'let this user read it',
    )
  } finally {
    process.chdir(cwd)
  }
}

function decodable(file: string): void {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    if (systemCode(error) !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error
    throw unreadable(`${file} is not UTF-8 text`, 'save it as UTF-8')
  }
}

const unreadable = (message: string, hint: string): ConfigError =>
  new ConfigError('CONFIG_UNREADABLE', message, { hint })
