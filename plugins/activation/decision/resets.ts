import { asError, type Logger, RequestError } from '../../../core/api.js'
import type { Keyring, Moment } from '../../keyring/public.js'
import { Pace } from './pace.js'
import type { Planner } from './planner.js'

/** Two for each of a thousand laptops whose clocks died in the same holidays, and then one after the other. */
const limits = { each: 8, seconds: 10, burst: 2000, perSecond: 50 }

/** Lets a laptop set a clock that has lost its time, which would refuse every lease. */
export class ClockResets {
  readonly #planner: Planner
  readonly #keyring: Keyring | undefined
  readonly #log: Logger
  readonly #pace = new Pace(limits)

  constructor(planner: Planner, keyring: Keyring | undefined, log: Logger) {
    this.#planner = planner
    this.#keyring = keyring
    this.#log = log
  }

  /** @returns a line `rtc01: ...` without its line end; undefined when this laptop gets none now */
  async answer(serial: string, current: Moment, nonce: string): Promise<string | undefined> {
    const means = this.#planner.means(serial)
    if (this.#keyring === undefined || 'lacks' in means || this.#planner.isStolen(serial)) return undefined
    if (!this.#pace.take(serial)) return undefined
    try {
      const line = await this.#keyring.resetClock({
        serial,
        uuid: means.uuid,
        current,
        nonce,
        by: 'activation',
      })
      return this.#planner.isStolen(serial) ? undefined : line
    } catch (error) {
      if (!(error instanceof RequestError))
        this.#log.error({ err: asError(error) }, 'a reset of a clock could not be signed')
      return undefined
    }
  }
}
