import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asError } from '../../core/api.js'
import type { Desk } from './commands/desk.js'
import { drillSome } from './commands/drill.js'
import { pruneAll } from './commands/prune.js'

const hour = 3_600_000
/** When it is due, and waits for a quiet moment; when it waits no longer. School servers are switched off at night. */
const due = 20 * hour
const overdue = 44 * hour
const drilled = 3

/** The daily work on the archive, at a time when no laptop is here. */
export class Maintenance {
  readonly #desk: Desk
  readonly #drills: boolean
  readonly #busy: () => number
  readonly #file: string

  constructor(desk: Desk, drills: boolean, busy: () => number) {
    this.#desk = desk
    this.#drills = drills
    this.#busy = busy
    this.#file = join(desk.layout.root, 'maintained')
  }

  /** Does it, when it is time. */
  async look(): Promise<void> {
    const age = Date.now() - this.#last()
    // By a clock that was ahead once it was done in the future: it is time then, too.
    if (age >= 0 && (age < due || (this.#busy() > 0 && age < overdue))) return
    writeFileSync(this.#file, '')
    await this.#attempt('prune', () => this.#prune())
    if (this.#drills) await this.#attempt('drill', () => drillSome(this.#desk, drilled))
  }

  async #prune(): Promise<void> {
    const { verdicts, freed } = await pruneAll(this.#desk, false)
    const removed = verdicts.filter(({ keep }) => !keep).length
    this.#desk.log.info({ removed, freed }, `pruned: ${removed} snapshots removed, ${freed} bytes freed`)
  }

  /** One thing that cannot be done keeps no other from being done. */
  async #attempt(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (err) {
      this.#desk.log.error({ err }, `the daily ${what} failed: ${asError(err).message}`)
    }
  }

  #last(): number {
    try {
      return statSync(this.#file).mtimeMs
    } catch {
      // A new archive has nothing to look after yet.
      writeFileSync(this.#file, '')
      return Date.now()
    }
  }
}
