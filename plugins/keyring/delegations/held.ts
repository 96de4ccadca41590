import { type Collection, each, type Logger } from '../../../core/api.js'
import type { DelegationDoc } from '../documents.js'
import type { PendingFile } from './pending.js'

export type DelegatedRole = DelegationDoc['role']

/** A delegation that this server holds. */
export interface Held extends Readonly<DelegationDoc> {
  /** Id of the key that its first link is signed with: one that laptops know, or knew. */
  readonly root: string
  /** Ids of all keys that it goes through, beginning with that. */
  readonly through: readonly string[]
}

/** Documents that are on their way to the disk at a time, and share one flush. */
const together = 256

/** The delegations that this server holds, in memory for those who sign. What is seen here is on the disk. */
export class HeldDelegations {
  readonly #collection: Collection<DelegationDoc>
  readonly #file: PendingFile
  readonly #log: Logger
  readonly #held = new Map<string, Held>()
  /** What the file holds and the collection perhaps not yet. */
  #pending: readonly DelegationDoc[] = []

  private constructor(collection: Collection<DelegationDoc>, file: PendingFile, log: Logger) {
    this.#collection = collection
    this.#file = file
    this.#log = log
  }

  static async open(
    collection: Collection<DelegationDoc>,
    file: PendingFile,
    log: Logger,
  ): Promise<HeldDelegations> {
    const held = new HeldDelegations(collection, file, log)
    for await (const { rev: _, ...doc } of each(collection)) held.#show(doc)
    held.#pending = await file.read()
    for (const doc of held.#pending) held.#show(doc)
    await held.#tryToSettle()
    return held
  }

  get(role: DelegatedRole, serial: string): Held | undefined {
    return this.#held.get(idOf(role, serial))
  }

  all(): Iterable<Held> {
    return this.#held.values()
  }

  /**
   * Takes over all of them or, when this throws, none. One call after the other.
   * @throws SystemError NO_SPACE, NOT_WRITABLE; StoreError
   */
  async put(docs: readonly DelegationDoc[]): Promise<void> {
    await this.#settle()
    try {
      await this.#file.write(docs)
    } catch (error) {
      // It may be there all the same, and the next start must not find what nobody was told of.
      await this.#file.remove().catch(() => undefined)
      throw error
    }
    this.#pending = docs
    for (const doc of docs) this.#show(doc)
    await this.#tryToSettle()
  }

  #show(doc: DelegationDoc): void {
    this.#held.set(doc.id, { ...doc, root: rootOf(doc.chain), through: keysOf(doc.chain) })
  }

  /** Should it fail, the file is enough: it is read at each start, and settled before the next import. */
  async #tryToSettle(): Promise<void> {
    try {
      await this.#settle()
    } catch (error) {
      this.#log.warn({ err: error }, 'delegations that were imported are in a file, and not yet in the store')
    }
  }

  async #settle(): Promise<void> {
    if (this.#pending.length === 0) return
    for (let from = 0; from < this.#pending.length; from += together) {
      const batch = this.#pending.slice(from, from + together)
      // All have ended before anything is tried again.
      for (const result of await Promise.allSettled(batch.map((doc) => this.#keep(doc))))
        if (result.status === 'rejected') throw result.reason
    }
    await this.#file.remove()
    this.#pending = []
  }

  async #keep(doc: DelegationDoc): Promise<void> {
    const before = await this.#collection.get(doc.id)
    if (before === undefined) await this.#collection.insert(doc)
    else await this.#collection.update(doc.id, before.rev, doc)
  }
}

export const idOf = (role: DelegatedRole, serial: string): string => `${role}:${serial}`

/** Id of the key of the first link of a `sig02: HASH KEY ...`. */
export const rootOf = (chain: string): string => keysOf(chain)[0] ?? ''

/** Ids of the keys that the links of a `sig02: HASH KEY EXPIRY SIGNATURE ...` are signed with. */
const keysOf = (chain: string): string[] =>
  chain
    .split(' ')
    .filter((_, index) => index % 4 === 2)
    .map((key) => key.slice(-64))
