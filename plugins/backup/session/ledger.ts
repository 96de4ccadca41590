import {
  type Change,
  type Collection,
  type CollectionSpec,
  each,
  type Stored,
  StoreError,
} from '../../../core/api.js'

export type FlagName =
  | 'mass-change'
  | 'shared-key'
  | 'near-quota'
  | 'over-quota'
  | 'snapshot-failed'
  | 'damaged'
  /** A power cut may have torn what was sent; until the laptop has come again. */
  | 'unconfirmed'
  | 'incomplete'

export interface Flag {
  flag: FlagName
  /** ISO 8601, UTC. */
  since: string
  why: string
}

/** What is known of a learner's backups besides the archive itself. */
export interface LedgerDoc {
  uid: string
  /** As it was at the last backup: the registration may be gone by now. */
  nickname: string
  /** When a session last ended well and left nothing to be done. ISO 8601, UTC. */
  lastGood?: string
  /** Id of the snapshot that has it. */
  snapshot?: string
  /** Digest of the Journal as it was then. */
  digest?: string
  /** Bytes of the disk for what the laptop sent last, but for its logs: see weightOf(). */
  bytes: number
  /** Files, directories and links of that. */
  files: number
  /** Bytes of the disk for logs, which have no history. */
  logs?: number
  /** Bytes of the disk for the history, besides. */
  history?: number
  flags: Flag[]
}

export const collections: { ledger: CollectionSpec<LedgerDoc> } = { ledger: { key: 'uid' } }

/** The ledger of backups; in memory too, for it is asked at each question of a laptop. */
export class Ledger {
  readonly #store: Collection<LedgerDoc>
  readonly #docs = new Map<string, Stored<LedgerDoc>>()
  readonly #turns = new Map<string, Promise<unknown>>()

  private constructor(store: Collection<LedgerDoc>) {
    this.#store = store
  }

  static async open(store: Collection<LedgerDoc>): Promise<Ledger> {
    const ledger = new Ledger(store)
    for await (const doc of each(store)) ledger.#docs.set(doc.uid, doc)
    return ledger
  }

  get(uid: string): LedgerDoc | undefined {
    return this.#docs.get(uid)
  }

  all(): LedgerDoc[] {
    return [...this.#docs.values()]
  }

  /** Notes something of a learner. One change after the other. */
  async note(uid: string, change: (doc: LedgerDoc) => Change<LedgerDoc>): Promise<void> {
    const before = this.#turns.get(uid) ?? Promise.resolve()
    const turn = before.then(() => this.#write(uid, change))
    const settled = turn.catch(() => undefined)
    this.#turns.set(uid, settled)
    await turn
    if (this.#turns.get(uid) === settled) this.#turns.delete(uid)
  }

  async raise(uid: string, flag: FlagName, why: string): Promise<void> {
    await this.note(uid, ({ flags }) => {
      const since = flags.find((one) => one.flag === flag)?.since ?? new Date().toISOString()
      return { flags: [...flags.filter((one) => one.flag !== flag), { flag, since, why }] }
    })
  }

  async lower(uid: string, ...names: FlagName[]): Promise<void> {
    if (this.get(uid)?.flags.some(({ flag }) => names.includes(flag)) !== true) return
    await this.note(uid, ({ flags }) => ({ flags: flags.filter(({ flag }) => !names.includes(flag)) }))
  }

  /** Forgets a learner. */
  async remove(uid: string): Promise<void> {
    await this.#store.remove(uid)
    this.#docs.delete(uid)
  }

  async #write(uid: string, change: (doc: LedgerDoc) => Change<LedgerDoc>): Promise<void> {
    const known = this.#docs.get(uid)
    const doc = known ?? { uid, nickname: '', bytes: 0, files: 0, flags: [] }
    const changed = change(doc)
    if (known !== undefined) {
      this.#docs.set(uid, await this.#store.update(uid, known.rev, changed))
      return
    }
    try {
      this.#docs.set(uid, await this.#store.insert({ ...doc, ...changed } as LedgerDoc))
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'STORE_CONFLICT')) throw error
      const stored = await this.#store.get(uid)
      if (stored === undefined) throw error
      this.#docs.set(uid, await this.#store.update(uid, stored.rev, change(stored)))
    }
  }
}

/** Bytes of the disk that a learner takes in all: the figure that quotas bound and that operators see. */
export const shareOf = ({
  bytes,
  logs = 0,
  history = 0,
}: Pick<LedgerDoc, 'bytes' | 'logs' | 'history'>): number => bytes + logs + history
