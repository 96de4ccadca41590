import { rm } from 'node:fs/promises'
import Datastore from 'nedb-promises'
import { asError, StoreError } from '../../errors.js'
import { diskFault, failingHint } from '../../lib/disk-fault.js'
import type { Change, Collection, CollectionSpec, Doc, Page, Stored, Where } from '../contract.js'
import { changed, checkKey, docOf, migrate, rowOf, versionOf } from '../schema.js'
import { type Datafile, readDatafile } from './datafile.js'
import { Journal } from './journal.js'
import { type Kept, keptOf, rowOfKept, sizeOf } from './kept.js'
import type { Owner, Reloaded } from './owner.js'
import { orderOf, pageQuery, queryOf } from './query.js'

/** The parts of NeDB that nedb-promises hands through but does not describe. */
interface Nedb {
  persistence: {
    loadDatabaseAsync(): Promise<void>
    /** Appends to the file: rows, deletions, and changes of indexes, which have no `_id`. */
    persistNewStateAsync(docs: readonly { _id?: string }[]): Promise<void>
    persistCachedDatabaseAsync(): Promise<void>
  }
  /** Runs one operation after the other; before processBuffer() it only gathers them. */
  executor: { pushAsync<T>(task: () => Promise<T>): Promise<T>; processBuffer(): void }
  indexes: { _id: { getMatching(key: string): Kept[]; getAll(): Kept[] } }
  _resetIndexes(docs: readonly Kept[]): void
}

const defaultLimit = 1000
const smallestCompaction = 4 << 20
const migrationBatch = 500

/**
 * One NeDB file. NeDB holds the documents in memory, finds them, and writes fresh copies of the file. Reading it is
 * datafile.ts's and appending to it the journal's, because NeDB's own reading loses damaged lines in silence, and
 * its appends are not synced and go on after a failure (docs/decisions/store.md).
 */
export class NedbCollection<D extends Doc> implements Collection<D>, Reloaded {
  readonly #db: Datastore<Kept>
  readonly #nedb: Nedb
  readonly #path: string
  readonly #spec: CollectionSpec<D>
  readonly #owner: Owner
  #journal!: Journal
  /** Keys whose newest version is not on the disk yet. */
  readonly #pending = new Map<string, Promise<void>>()
  #compactAt = smallestCompaction
  #compaction: Promise<void> | undefined

  private constructor(path: string, spec: CollectionSpec<D>, owner: Owner) {
    this.#path = path
    this.#spec = spec
    this.#owner = owner
    this.#db = Datastore.create({
      filename: path,
      modes: { fileMode: 0o600, dirMode: 0o700 },
    } as object) as Datastore<Kept>
    this.#nedb = (this.#db as unknown as { __original: Nedb }).__original
  }

  static async open<D extends Doc>(
    path: string,
    name: string,
    spec: CollectionSpec<D>,
    owner: Owner,
  ): Promise<NedbCollection<D>> {
    const collection = new NedbCollection(path, spec, owner)
    await collection.#load()
    try {
      await collection.#migrate(name)
    } catch (error) {
      await collection.close()
      throw error
    }
    return collection
  }

  async get(key: string): Promise<Stored<D> | undefined> {
    checkKey(key)
    this.#owner.readable()
    const kept = this.#kept(key)
    await this.#written(key)
    return kept === undefined ? undefined : docOf<D>(rowOfKept(kept))
  }

  async find(where: Where<D>, page: Page<D> = {}): Promise<Stored<D>[]> {
    this.#owner.readable()
    const { limit = defaultLimit } = page
    // To NeDB a limit of 0 is none at all.
    const kept =
      limit === 0
        ? []
        : await this.#db
            .find(pageQuery(this.#spec, where, page))
            .sort(orderOf(this.#spec, page))
            .limit(limit)
    await this.#durable(kept)
    return kept.map((one) => docOf<D>(rowOfKept(one)))
  }

  async count(where: Where<D>): Promise<number> {
    this.#owner.readable()
    const found = await this.#db.count(queryOf(this.#spec, where))
    for (const id of [...this.#pending.keys()]) await this.#written(id)
    return found
  }

  async insert(doc: D): Promise<Stored<D>> {
    const row = rowOf(this.#spec, doc, 1)
    this.#owner.writable()
    try {
      await this.#db.insert(keptOf(row))
    } catch (error) {
      if ((error as { errorType?: string }).errorType === 'uniqueViolated')
        throw conflict(row.key, 'is taken')
      throw error
    }
    await this.#written(row.key)
    return { ...doc, rev: 1 }
  }

  async update(key: string, rev: number, change: Change<D>): Promise<Stored<D>> {
    checkKey(key)
    this.#owner.writable()
    const kept = this.#kept(key)
    if (kept === undefined) throw conflict(key, 'is gone')
    if (kept.rev !== rev) throw conflict(key, `has moved from revision ${rev} to ${kept.rev}`)
    const row = rowOf(this.#spec, changed(docOf<D>(rowOfKept(kept)), change, this.#spec.key), rev + 1)
    const matched = await this.#db.update({ _id: key, rev }, keptOf(row), {})
    if (Number(matched) === 0) throw conflict(key, `has moved from revision ${rev}`)
    await this.#written(key)
    return docOf<D>(row)
  }

  async remove(key: string): Promise<boolean> {
    checkKey(key)
    this.#owner.writable()
    const removed = await this.#db.remove({ _id: key }, {})
    await this.#written(key)
    return removed > 0
  }

  reload(mend: boolean): Promise<void> {
    return this.#alone(async () => {
      // Whoever wrote before the failure hears of it first.
      await new Promise(setImmediate)
      await this.#journal.settled()
      if (mend) await this.#journal.recover()
      const { rows } = await readDatafile(this.#path, this.#journal.durable)
      this.#nedb._resetIndexes(rows)
      this.#pending.clear()
    })
  }

  async close(): Promise<void> {
    // Calls that were made in this turn of the event loop have not reached NeDB yet.
    await new Promise(setImmediate)
    await this.#alone(() => this.#journal.close())
  }

  /** Does something with the file while NeDB holds all writes. */
  #alone(task: () => Promise<void>): Promise<void> {
    return this.#nedb.executor.pushAsync(task)
  }

  async #load(): Promise<void> {
    let file: Datafile
    try {
      file = await readDatafile(this.#path)
      this.#journal = await Journal.open(this.#path, (error) => this.#owner.failed(this, error))
    } catch (error) {
      const cause = asError(error)
      const fault = diskFault(error)
      const hint =
        fault === 'full'
          ? 'make room on the disk'
          : fault === 'failing'
            ? failingHint
            : 'see that this user owns the file, or move it away and restore a copy'
      throw new StoreError('STORE_UNREADABLE', `${this.#path} cannot be loaded: ${cause.message}`, {
        hint,
        cause,
      })
    }
    if (file.repaired !== undefined) this.#owner.repaired(file.repaired)
    const { persistence, executor } = this.#nedb
    persistence.loadDatabaseAsync = async () => {
      this.#nedb._resetIndexes(file.rows)
      executor.processBuffer()
    }
    persistence.persistNewStateAsync = async (docs) => this.#append(docs)
    await this.#db.load()
    for (const index of this.#spec.indexes ?? [])
      await this.#db.ensureIndex({ fieldName: `i.${index}`, sparse: true })
    if (file.unended) await this.#journal.append('')
    this.#compactAt = 0
    this.#compactWhenLong()
  }

  #compactWhenLong(): void {
    if (this.#journal.durable <= this.#compactAt || this.#compaction !== undefined) return
    // It may be long because there is much to keep.
    this.#setLimit()
    if (this.#journal.durable > this.#compactAt) this.#compact()
  }

  /** Lets the file grow to four times what a fresh copy would have. */
  #setLimit(): void {
    const live = this.#nedb.indexes._id.getAll().reduce((sum, kept) => sum + sizeOf(kept), 0)
    this.#compactAt = Math.max(smallestCompaction, live * 4)
  }

  async #migrate(name: string): Promise<void> {
    const old = await this.#db.find({ v: { $ne: versionOf(this.#spec) } })
    for (let at = 0; at < old.length; at += migrationBatch) {
      const batch = old.slice(at, at + migrationBatch)
      await Promise.all(
        batch.map(async (kept) => {
          const row = migrate(name, this.#spec, rowOfKept(kept))
          if (row.key !== kept._id)
            throw new StoreError('STORE_INVALID', `${name}: a migration changed the key ${kept._id}`)
          await this.#db.update({ _id: kept._id }, keptOf(row), {})
          await this.#written(row.key)
        }),
      )
    }
  }

  #append(docs: readonly { _id?: string }[]): void {
    // Indexes are made from the spec at each start: nothing about them is kept.
    const rows = docs.flatMap((doc) =>
      doc._id === undefined ? [] : [{ key: doc._id, line: JSON.stringify(doc) }],
    )
    if (rows.length === 0) return
    const written = this.#journal.append(rows.map(({ line }) => line).join('\n'))
    for (const { key } of rows) this.#pending.set(key, written)
    // A failure stays pending until reload(), so that whoever asks hears of it.
    written.then(
      () => {
        for (const { key } of rows) if (this.#pending.get(key) === written) this.#pending.delete(key)
      },
      () => undefined,
    )
  }

  /** Straight from NeDB's index of keys: findOne() would queue behind all writes and copy the row. */
  #kept(key: string): Kept | undefined {
    return this.#nedb.indexes._id.getMatching(key)[0]
  }

  /** Waits until what was read is on the disk too: nobody is told of what may yet be lost. */
  async #durable(kept: readonly Kept[]): Promise<void> {
    if (this.#pending.size === 0) return
    for (const { _id } of kept) await this.#written(_id)
  }

  /** Waits until the newest version of a row is on the disk. */
  async #written(key: string): Promise<void> {
    try {
      await this.#pending.get(key)
    } catch (error) {
      this.#owner.writable()
      throw error
    }
    this.#compactWhenLong()
  }

  /** NeDB writes what it holds into a fresh copy beside the file, and puts that in its place. */
  #compact(): void {
    this.#compaction ??= this.#alone(async () => {
      await this.#journal.settled()
      if (this.#journal.failed) return
      try {
        await this.#nedb.persistence.persistCachedDatabaseAsync()
      } catch (error) {
        // The long file serves on. Half a copy would take the room that is needed.
        this.#compactAt = this.#journal.durable * 2
        this.#owner.note(`a fresh copy of ${this.#path} could not be written: ${asError(error).message}`)
        await rm(`${this.#path}~`, { force: true })
        return
      }
      await this.#journal.reopen()
      this.#setLimit()
    })
      .catch((error) => this.#owner.failed(this, asError(error)))
      .finally(() => {
        this.#compaction = undefined
      })
  }
}

const conflict = (key: string, what: string): StoreError =>
  new StoreError('STORE_CONFLICT', `document ${key} ${what}`)
