import { asError, type Problem } from '../errors.js'
import type { Given, Origin } from './layers.js'
import type { Options } from './option.js'
import { didYouMean } from './suggest.js'

/** Options and who declared them: a plugin, or `core`. */
export interface Owned {
  owner: string
  options: Options
}

export interface Setting {
  readonly name: string
  readonly owner: string
  readonly option: Options[string]
  readonly value: unknown
  readonly origin: Origin
}

/** A mistake in a setting, and whose setting it is where that can be told. */
export interface SettingProblem extends Problem {
  owner?: string | undefined
  /** An unknown name, and not even like a known one: nobody can tell whose it is. */
  strange?: boolean
}

export const originText = (origin: Origin): string => {
  if (origin.from === 'file') return `${origin.file}:${origin.line}`
  return origin.from === 'flag' ? 'the command line' : 'the default'
}

/** Every option with its value and where that came from. */
export class Settings {
  readonly #settings: ReadonlyMap<string, Setting>

  constructor(settings: Iterable<Setting>) {
    this.#settings = new Map([...settings].map((setting) => [setting.name, setting]))
  }

  /** @throws TypeError when nobody declared the option */
  get(name: string): unknown {
    return this.#setting(name).value
  }

  /** An option and where its value stands, for errors: `id-port (/etc/sugar-server.conf:3)`. */
  describe(name: string): string {
    const { origin } = this.#setting(name)
    return origin.from === 'default' ? name : `${name} (${originText(origin)})`
  }

  all(): Setting[] {
    return [...this.#settings.values()]
  }

  /** The values of some options, frozen. */
  pick(options: Options): Readonly<Record<string, unknown>> {
    return Object.freeze(Object.fromEntries(Object.keys(options).map((name) => [name, this.get(name)])))
  }

  #setting(name: string): Setting {
    const setting = this.#settings.get(name)
    if (setting === undefined) throw new TypeError(`no option is called ${name}`)
    return setting
  }
}

/**
 * Turns what was written into values; the last layer that names an option wins.
 * @param asleep options of plugins that are installed but not enabled: accepted in silence, so that a plugin can
 *   be switched off without more editing. Asked for only when an unknown name turns up.
 */
export async function settle(
  given: readonly Given[],
  owned: readonly Owned[],
  asleep: () => Promise<Options>,
): Promise<{ settings: Settings; problems: SettingProblem[] }> {
  const problems: SettingProblem[] = []
  const settings = new Map<string, Setting>()
  for (const { owner, options } of owned) {
    for (const [name, option] of Object.entries(options)) {
      settings.set(name, { name, owner, option, value: option.default, origin: { from: 'default' } })
    }
  }
  for (const one of given) {
    const setting = settings.get(one.name)
    if (setting !== undefined) {
      try {
        const value = setting.option.read(one.text, { base: one.base })
        settings.set(one.name, { ...setting, value, origin: one.origin })
      } catch (error) {
        const message = `${originText(one.origin)}: ${one.name} ${asError(error).message}`
        problems.push({ code: 'CONFIG_INVALID', message, owner: setting.owner, option: one.name })
      }
    } else if (!Object.hasOwn(await asleep(), one.name)) {
      const near = didYouMean(one.name, settings.keys())
      const message = `${originText(one.origin)}: unknown option ${one.name}${near}`
      const hint = '"sugar-server config" lists the options'
      const owner = ownerOf(one, owned)
      const strange = owner === undefined && near === ''
      problems.push({ code: 'CONFIG_INVALID', message, hint, owner, strange })
    }
  }
  return { settings: new Settings(settings.values()), problems }
}

/** Whom an unknown option was meant for: the plugin whose section it stands in, else whose name it begins with. */
function ownerOf({ section, name }: Given, owned: readonly Owned[]): string | undefined {
  const owners = owned.map(({ owner }) => owner)
  const likely = owners.filter((owner) => name.startsWith(`${owner}-`)).sort((a, b) => b.length - a.length)
  return owners.find((owner) => owner === section) ?? likely[0]
}
