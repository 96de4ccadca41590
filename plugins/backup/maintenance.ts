import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Share } from './archive/share.js'
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
  readonly #share: Share
  readonly #drills: boolean
  readonly #busy: () => number
  readonly #file: string

  constructor(desk: Desk, share: Share, drills: boolean, busy: () => number) {
    this.#desk = desk
    this.#share = share
    this.#drills = drills
    this.#busy = busy
    this.#file = join(desk.layout.root, 'maintained')
  }

  /** Does it, when it is time. */
  async look(): Promise<void> {
    const age = Date.now() - this.#last()
    if (age < due || (this.#busy() > 0 && age < overdue)) return
    writeFileSync(this.#file, '')
    const { verdicts, freed } = await pruneAll(this.#desk, false)
    const removed = verdicts.filter(({ keep }) => !keep).length
    this.#desk.log.info({ removed, freed }, `pruned: ${removed} snapshots removed, ${freed} bytes freed`)
    if (this.#drills) await drillSome(this.#desk, drilled)
    await this.#share.measure()
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
