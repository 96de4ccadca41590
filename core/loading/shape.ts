import { didYouMean } from '../config/suggest.js'
import { PluginError } from '../errors.js'
import { api, definePlugin, type Plugin } from '../kernel/plugin.js'
import { isTokenId } from '../kernel/token.js'

const word = /^[a-z][a-z0-9-]{0,31}$/

/** Names that mean something to the house itself. */
const reservedNames: ReadonlySet<string> = new Set([
  'core',
  'run',
  'config',
  'check',
  'status',
  'stop',
  'plugins',
  'explain',
  'help',
])

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A rule for a key of the plugin's object: undefined, or what is wrong. */
type Rule = (value: unknown) => string | undefined

const text: Rule = (value) => (typeof value === 'string' && value !== '' ? undefined : 'must be text')
const runs: Rule = (value) => (typeof value === 'function' ? undefined : 'must be a function')

const each =
  (names: RegExp, rule: (value: Record<string, unknown>) => boolean, says: string): Rule =>
  (value) => {
    if (!isRecord(value)) return 'must be an object'
    for (const [name, one] of Object.entries(value)) {
      if (!names.test(name)) return `holds a bad name: "${name}"`
      if (!isRecord(one) || !rule(one)) return `${name}: ${says}`
    }
    return undefined
  }

const tokens = each(/^[A-Za-z]\w*$/, ({ id }) => isTokenId(id), 'is not a token, such as token("id/users@1")')

const isCommand = each(
  word,
  ({ summary }) => typeof summary === 'string',
  'is not a command: it has no summary',
)
const runsHere = each(
  word,
  ({ here }) => here === undefined || typeof here === 'function',
  'has a "here" that is no function',
)

const rules: Record<string, Rule> = {
  name: (value) => {
    if (typeof value !== 'string' || !word.test(value))
      return 'must be lower-case letters, digits and hyphens'
    return reservedNames.has(value) ? `"${value}" is a word of the house` : undefined
  },
  api: (value) =>
    value === api
      ? undefined
      : `was written for plugin API ${String(value)}, this server has ${api}: install a version that fits`,
  summary: text,
  options: each(
    word,
    (option) =>
      typeof option.read === 'function' &&
      typeof option.write === 'function' &&
      typeof option.help === 'string' &&
      'default' in option,
    'is not an option',
  ),
  needs: tokens,
  wants: tokens,
  provides: tokens,
  collections: each(word, ({ key }) => typeof key === 'string', 'is not a collection: it has no key'),
  system: (value) =>
    Array.isArray(value) && value.every((one) => isRecord(one) && typeof one.look === 'function')
      ? undefined
      : 'must be a list of probes',
  commands: (value) => isCommand(value) ?? runsHere(value),
  prepare: runs,
  start: runs,
}

const required = ['name', 'api', 'summary', 'start']

/**
 * Makes sure that what a module exports is a plugin.
 * @param source where it came from, for the error
 * @throws PluginError PLUGIN_INVALID, naming everything that is wrong
 */
export function checkShape(exported: unknown, source: string): Plugin {
  if (!isRecord(exported)) {
    throw new PluginError(
      'PLUGIN_INVALID',
      `${source} is not a plugin: its default export is not an object`,
      {
        hint: 'export default definePlugin({ ... })',
      },
    )
  }
  const wrong: string[] = []
  for (const key of required) if (exported[key] === undefined) wrong.push(`${key} is missing`)
  for (const [key, value] of Object.entries(exported)) {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    if (rule === undefined) wrong.push(`unknown key ${key}${didYouMean(key, Object.keys(rules))}`)
    else if (value !== undefined) {
      const problem = rule(value)
      if (problem !== undefined) wrong.push(`${key} ${problem}`)
    }
  }
  if (wrong.length > 0) {
    throw new PluginError(
      'PLUGIN_INVALID',
      `${source} is not a plugin for this server: ${wrong.join('; ')}`,
      {
        hint: 'see docs/guide/plugins.md for what a plugin looks like',
      },
    )
  }
  const said = Object.fromEntries(Object.entries(exported).filter(([, value]) => value !== undefined))
  return definePlugin(said as unknown as Parameters<typeof definePlugin>[0])
}
