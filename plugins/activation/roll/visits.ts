import { asError, type Collection, each, type Logger } from '../../../core/api.js'
import type { Answer } from '../decision/answer.js'
import type { Kept, KeptVisits, Visits as VisitsDoc } from '../documents.js'
import { mostLaptops } from './entry.js'
import type { Roll } from './roll.js'

/** Documents that are written at a time: they share a sync of the disk. */
const batch = 500

/**
 * When each laptop asked, what it got, and what was last signed for it. Kept in memory and written now and then: a laptop
 * that waits must not wait for a disk, and on what a crash takes nothing depends: a laptop keeps its lease itself.
 */
export class Visits {
  readonly #store: Collection<KeptVisits>
  readonly #roll: Roll
  readonly #log: Logger
  readonly #docs = new Map<string, VisitsDoc>()
  /** Leases that were signed here, by serial; those that were signed longest ago first. */
  readonly #signed = new Map<string, Kept>()
  #latest = 0
  readonly #unwritten = new Set<string>()
  #saving: Promise<void> | undefined

  private constructor(store: Collection<KeptVisits>, roll: Roll, log: Logger) {
    this.#store = store
    this.#roll = roll
    this.#log = log
  }

  static async open(store: Collection<KeptVisits>, roll: Roll, log: Logger): Promise<Visits> {
    const visits = new Visits(store, roll, log)
    for await (const { rev: _, signed, ...doc } of each(store)) {
      visits.#docs.set(doc.serial, doc)
      if (signed !== undefined) visits.#keep(doc.serial, signed)
      visits.#saw(doc.last)
    }
    return visits
  }

  /** When the last laptop asked, in milliseconds since the epoch; 0: none ever did. */
  get latest(): number {
    return this.#latest
  }

  /** What was last signed here for a laptop. */
  signed(serial: string): Kept | undefined {
    return this.#signed.get(serial)
  }

  /** Keeps what was signed for a laptop, until something else is. It goes to the disk with the visit that follows. */
  keep(serial: string, signed: Kept): void {
    this.#keep(serial, signed)
    this.#unwritten.add(serial)
  }

  get(serial: string): VisitsDoc | undefined {
    return this.#docs.get(serial)
  }

  /**
   * Notes that a laptop asked. Serials that mean nothing here are not noted: whoever makes them up fills no disk.
   * @param answer what it got; not said, it asked and needed nothing
   */
  note(serial: string, answer: Answer | undefined, now: Date): void {
    if (answer?.kind !== 'lease' && this.#roll.get(serial) === undefined) return
    const before = this.#docs.get(serial)
    const last = now.toISOString()
    const until = answer?.kind === 'lease' ? answer.until : before?.until
    this.#docs.set(serial, {
      serial,
      first: before?.first ?? last,
      last,
      count: (before?.count ?? 0) + 1,
      answer: answer?.kind ?? before?.answer ?? 'nothing',
      ...(until !== undefined && { until }),
    })
    this.#unwritten.add(serial)
    this.#saw(last)
  }

  #keep(serial: string, signed: Kept): void {
    this.#signed.delete(serial)
    this.#signed.set(serial, signed)
    const [longestAgo] = this.#signed.keys()
    if (this.#signed.size > mostLaptops && longestAgo !== undefined) this.#signed.delete(longestAgo)
  }

  #saw(last: string): void {
    this.#latest = Math.max(this.#latest, Date.parse(last) || 0)
  }

  /** Writes what is new. What cannot be written now is tried again the next time. */
  save(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined
    })
    return this.#saving
  }

  async #save(): Promise<void> {
    const serials = [...this.#unwritten]
    this.#unwritten.clear()
    for (let at = 0; at < serials.length; at += batch) {
      const part = serials.slice(at, at + batch)
      const written = await Promise.allSettled(part.map((serial) => this.#write(serial)))
      const failed = written.find((one) => one.status === 'rejected')
      if (failed === undefined) continue
      for (const serial of serials.slice(at)) this.#unwritten.add(serial)
      this.#log.warn({ err: asError(failed.reason) }, 'when laptops asked is not on the disk yet')
      return
    }
  }

  async #write(serial: string): Promise<void> {
    const doc = this.#docs.get(serial)
    if (doc === undefined) return
    const signed = this.#signed.get(serial)
    const found = await this.#store.get(serial)
    if (found === undefined) await this.#store.insert({ ...doc, ...(signed !== undefined && { signed }) })
    else await this.#store.update(serial, found.rev, { ...doc, signed })
  }
}
