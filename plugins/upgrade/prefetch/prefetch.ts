import { type Logger, RequestError } from '../../../core/api.js'
import { buildName } from '../../rsync/public.js'
import { type Appointment, due } from './plan.js'

/** Milliseconds until a build that hints name is tried again. */
const again = 3_600_000

/** Builds that are fetched before anybody asks for them. */
export class Prefetch {
  readonly #plan: readonly Appointment[]
  readonly #hints: () => readonly string[]
  readonly #want: (name: string) => void
  readonly #log: Logger
  #last = Date.now()
  readonly #tried = new Map<string, number>()

  /**
   * @param hints builds that laptops are told about
   * @param want begins a fetch; does nothing for what is here
   */
  constructor(
    plan: readonly Appointment[],
    hints: () => readonly string[],
    want: (name: string) => void,
    log: Logger,
  ) {
    this.#plan = plan
    this.#hints = hints
    this.#want = want
    this.#log = log
  }

  /** Why a build shall be here; undefined where nobody has said so. */
  why(name: string): string | undefined {
    if (this.#plan.some((one) => one.name === name)) return 'upgrade-prefetch names it'
    return this.#named().includes(name) ? 'laptops are told to fetch it (hints of OATS)' : undefined
  }

  /** Begins what it is time for; to be called every minute. */
  look(now = Date.now()): void {
    // After a clock was set back, times are not waited for that have not come again.
    for (const { name } of due(this.#plan, Math.min(this.#last, now), now)) this.#begin(name)
    this.#last = now
    const named = this.#named()
    for (const name of this.#tried.keys()) if (!named.includes(name)) this.#tried.delete(name)
    for (const name of named) {
      const since = now - (this.#tried.get(name) ?? Number.NEGATIVE_INFINITY)
      if (since >= 0 && since < again) continue
      this.#tried.set(name, now)
      this.#begin(name)
    }
  }

  #named(): string[] {
    return this.#hints().filter((name) => buildName.test(name))
  }

  #begin(name: string): void {
    try {
      this.#want(name)
    } catch (error) {
      if (!(error instanceof RequestError)) throw error
      this.#log.info({ build: name }, `build-${name} is not fetched now: ${error.message}`)
    }
  }
}
