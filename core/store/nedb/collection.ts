import { rm } from 'node:fs/promises'
import Datastore from 'nedb-promises'
import { asError, StoreError, systemCode } from '../../errors.js'
import type { Change, Collection, CollectionSpec, Doc, Page, Stored, Where } from '../contract.js'
import { changed, checkIndexed, checkKey, docOf, migrate, type Row, rowOf, versionOf } from '../schema.js'
import { Journal } from './journal.js'
import { repair } from './repair.js'

/** A row as NeDB keeps it. */
interface Kept {
  _id: string
  rev: number
  v: number
  i: Row['indexed']
  doc: string
}

const keptOf = (row: Row): Kept => ({
  _id: row.key,
  rev: row.rev,
  v: row.version,
  i: row.indexed,
  doc: row.body,
})

/** What a collection needs of the store it belongs to. */
export interface Owner {
  /** @throws StoreError when nothing may be written */
  writable(): void
  failed(collection: { reload(): Promise<void> }, error: Error): void
  repaired(what: string): void
}

// The parts of NeDB that nedb-promises hands through but does not describe.
interface Persistence {
  persistNewStateAsync(docs: readonly { _id?: string }[]): Promise<void>
}

const defaultLimit = 1000
const smallestCompaction = 4 << 20
const migrationBatch = 500

/**
 * One NeDB file. NeDB holds the documents in memory, finds them and loads them; the appends are the journal's,
 * because NeDB's own are not synced and go on after a failure (docs/decisions/store.md).
 */
export class NedbCollection<D extends Doc> implements Collection<D> {
  readonly #db: Datastore<Kept>
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
  }

  static async open<D extends Doc>(
    path: string,
    name: string,
    spec: CollectionSpec<D>,
    owner: Owner,
  ): Promise<NedbCollection<D>> {
    const repaired = await repair(path)
    if (repaired !== undefined) owner.repaired(repaired)
    const collection = new NedbCollection(path, spec, owner)
    await collection.#load()
    await collection.#migrate(name)
    return collection
  }

  async get(key: string): Promise<Stored<D> | undefined> {
    checkKey(key)
    const kept = await this.#kept(key)
    if (kept !== undefined) await this.#durable([kept])
    return kept === undefined ? undefined : docOf<D>(bodyOf(kept))
  }

  async find(where: Where<D>, page: Page<D> = {}): Promise<Stored<D>[]> {
    const query = this.#query(where)
    const { by, after } = page
    if (by !== undefined && by !== this.#spec.key) {
      checkIndexed(this.#spec, [by])
      Object.assign(query, {
        $and: [
          { [`i.${by}`]: { $exists: true } },
          ...(after === undefined ? [] : [behind(by, after, this.#spec.key)]),
        ],
      })
    } else if (after !== undefined) {
      Object.assign(query, { $and: [{ _id: { $gt: String(after[this.#spec.key]) } }] })
    }
    const order = by === undefined || by === this.#spec.key ? { _id: 1 } : { [`i.${by}`]: 1, _id: 1 }
    const kept = await this.#db
      .find(query)
      .sort(order)
      .limit(page.limit ?? defaultLimit)
    await this.#durable(kept)
    return kept.map((one) => docOf<D>(bodyOf(one)))
  }

  async count(where: Where<D>): Promise<number> {
    return this.#db.count(this.#query(where))
  }

  async insert(doc: D): Promise<Stored<D>> {
    const row = rowOf(this.#spec, doc, 1)
    await this.#admit()
    try {
      await this.#db.insert(keptOf(row))
    } catch (error) {
      if ((error as { errorType?: string }).errorType === 'uniqueViolated')
        throw conflict(row.key, 'is taken')
      throw error
    }
    await this.#written(row.key)
    return docOf<D>(row)
  }

  async update(key: string, rev: number, change: Change<D>): Promise<Stored<D>> {
    checkKey(key)
    await this.#admit()
    const kept = await this.#kept(key)
    if (kept === undefined) throw conflict(key, 'is gone')
    if (kept.rev !== rev) throw conflict(key, `has moved from revision ${rev} to ${kept.rev}`)
    const row = rowOf(this.#spec, changed(docOf<D>(bodyOf(kept)), change, this.#spec.key), rev + 1)
    const matched = await this.#db.update({ _id: key, rev }, keptOf(row), {})
    if (Number(matched) === 0) throw conflict(key, `has moved from revision ${rev}`)
    await this.#written(key)
    return docOf<D>(row)
  }

  async remove(key: string): Promise<boolean> {
    checkKey(key)
    await this.#admit()
    const removed = await this.#db.remove({ _id: key }, {})
    await this.#written(key)
    return removed > 0
  }

  /** Brings memory back to what the disk holds, after a failed write. */
  async reload(): Promise<void> {
    await this.#journal.recover()
    try {
      await this.#db.load()
    } catch (error) {
      // NeDB has read everything by then and only could not write its fresh copy: the old file serves on.
      if (!isFull(error)) throw error
      await rm(`${this.#path}~`, { force: true })
    }
    await this.#journal.reopen()
    this.#pending.clear()
  }

  async close(): Promise<void> {
    await this.#compaction
    await this.#journal.close()
  }

  async #load(): Promise<void> {
    try {
      await this.#db.load()
    } catch (error) {
      const cause = asError(error)
      const hint = isFull(error)
        ? 'make room on the disk'
        : 'see that this user owns the file, or move it away and restore a copy'
      throw new StoreError('STORE_UNREADABLE', `${this.#path} cannot be loaded: ${cause.message}`, {
        hint,
        cause,
      })
    }
    this.#journal = await Journal.open(this.#path, (error) => this.#owner.failed(this, error))
    this.#compactAt = Math.max(smallestCompaction, this.#journal.durable * 4)
    const persistence = (this.#db as unknown as { persistence: Persistence }).persistence
    persistence.persistNewStateAsync = async (docs) => this.#append(docs)
    for (const index of this.#spec.indexes ?? [])
      await this.#db.ensureIndex({ fieldName: `i.${index}`, sparse: true })
    await this.#journal.settled()
  }

  async #migrate(name: string): Promise<void> {
    const old = await this.#db.find({ v: { $ne: versionOf(this.#spec) } })
    for (let at = 0; at < old.length; at += migrationBatch) {
      const batch = old.slice(at, at + migrationBatch)
      await Promise.all(
        batch.map(async (kept) => {
          const row = migrate(name, this.#spec, { body: kept.doc, version: kept.v, rev: kept.rev })
          if (row.key !== kept._id)
            throw new StoreError('STORE_INVALID', `${name}: a migration changed the key ${kept._id}`)
          await this.#db.update({ _id: kept._id }, keptOf(row), {})
          await this.#written(kept._id)
        }),
      )
    }
  }

  #append(docs: readonly { _id?: string }[]): void {
    const line = docs.map((doc) => JSON.stringify(doc)).join('\n')
    const written = this.#journal.append(line)
    for (const { _id: key } of docs) {
      if (key === undefined) continue
      this.#pending.set(key, written)
    }
    // A failure stays pending until reload(), so that whoever asks hears of it.
    written.then(
      () => {
        for (const { _id: key } of docs)
          if (key !== undefined && this.#pending.get(key) === written) this.#pending.delete(key)
      },
      () => undefined,
    )
  }

  #query(where: Where<D>): Record<string, unknown> {
    const fields = Object.keys(where)
    checkIndexed(this.#spec, fields)
    const query: Record<string, unknown> = {}
    for (const [field, value] of Object.entries(where)) {
      if (typeof value !== 'string' && typeof value !== 'number') {
        throw new StoreError('STORE_INVALID', `"${field}" is compared with text or a number`)
      }
      query[field === this.#spec.key ? '_id' : `i.${field}`] = value
    }
    return query
  }

  async #kept(key: string): Promise<Kept | undefined> {
    return (await this.#db.findOne<Kept>({ _id: key })) ?? undefined
  }

  /** Waits until what was read is on the disk too: nobody is told of what may yet be lost. */
  async #durable(kept: readonly Kept[]): Promise<void> {
    if (this.#pending.size === 0) return
    for (const { _id: key } of kept) await this.#written(key)
  }

  async #written(key: string): Promise<void> {
    try {
      await this.#pending.get(key)
    } catch (error) {
      this.#owner.writable()
      throw error
    }
    if (this.#journal.durable > this.#compactAt) this.#compact()
  }

  async #admit(): Promise<void> {
    this.#owner.writable()
    if (this.#compaction !== undefined) await this.#compaction
  }

  #compact(): void {
    this.#compaction ??= (async () => {
      try {
        // Writes are held off by #admit; those under way are in memory before NeDB writes its copy.
        await (this.#db as unknown as { compactDatafileAsync(): Promise<void> }).compactDatafileAsync()
        await this.#journal.settled()
        await this.#journal.reopen()
      } catch (error) {
        this.#owner.failed(this, asError(error))
      } finally {
        this.#compactAt = Math.max(smallestCompaction, this.#journal.durable * 4)
        this.#compaction = undefined
      }
    })()
  }
}

const bodyOf = (kept: Kept): Pick<Row, 'body' | 'rev'> => ({ body: kept.doc, rev: kept.rev })

function behind<D extends Doc>(
  by: keyof D & string,
  after: Stored<D>,
  key: keyof D & string,
): Record<string, unknown> {
  const value: unknown = after[by]
  return { $or: [{ [`i.${by}`]: { $gt: value } }, { [`i.${by}`]: value, _id: { $gt: after[key] } }] }
}

const conflict = (key: string, what: string): StoreError =>
  new StoreError('STORE_CONFLICT', `document ${key} ${what}`)

/** Out of room, which passes; anything else a disk says does not. */
export const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '')
