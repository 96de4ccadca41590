import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asError, type Collection, type Doc, each, type Logger, makeFolderSync } from '../../../core/api.js'
import type { Group, Laptop, Stock, Theft } from '../documents.js'
import type { Change, LaptopChange } from './change.js'
import { readChanges, removeParts, writeChanges } from './change-file.js'
import type { Entry } from './entry.js'

interface Shelves {
  readonly laptops: Collection<Laptop>
  readonly stock: Collection<Stock>
  readonly thefts: Collection<Theft>
  readonly groups: Collection<Group>
}

/** Documents that are written at a time: they share a sync of the disk. */
const batch = 500

/**
 * The laptops of the school: who they are, their ready leases, which are stolen. All of it is in memory, since a
 * classroom that boots asks for it at once, and in the store.
 */
export class Roll {
  readonly #shelves: Shelves
  readonly #file: string
  readonly #log: Logger
  readonly #entries = new Map<string, Entry>()
  readonly #groups = new Map<string, Group>()
  /** Serials whose documents are behind what the file of changes says. */
  readonly #unwritten = new Set<string>()
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(shelves: Shelves, file: string, log: Logger) {
    this.#shelves = shelves
    this.#file = file
    this.#log = log
  }

  /** Reads it, and finishes what a killed server had begun. */
  static async open({
    config,
    store,
    log,
  }: {
    readonly config: { readonly root: string }
    readonly store: Shelves
    readonly log: Logger
  }): Promise<Roll> {
    const folder = join(config.root, 'activation')
    makeFolderSync(folder)
    const roll = new Roll(store, join(folder, 'changes.jsonl'), log)
    await removeParts(roll.#file).catch((error: unknown) =>
      log.warn({ err: asError(error) }, 'a part of a file with uuids cannot be removed'),
    )
    await roll.#load()
    return roll
  }

  get(serial: string): Entry | undefined {
    return this.#entries.get(serial)
  }

  /** In no order. */
  all(): Iterable<Entry> {
    return this.#entries.values()
  }

  /** How many serials are known. */
  get size(): number {
    return this.#entries.size
  }

  group(name: string): Group | undefined {
    return this.#groups.get(name)
  }

  /**
   * Makes changes, all of them or none: when it resolves they survive `kill -9` and a power cut, and when it rejects
   * nothing has changed. One call after the other; a serial may come several times, and the later change counts.
   * @throws SystemError NO_SPACE, NOT_WRITABLE; StoreError while the store takes nothing
   */
  apply(changes: readonly Change[]): Promise<void> {
    return this.#alone(async () => {
      if (changes.length === 0) return
      // The file of an earlier change may only be replaced when its documents are written.
      await this.#write()
      this.#change(await writeChanges(this.#file, changes))
      await this.#tryToWrite()
    })
  }

  /** Sets how long the leases of a group last. @param days undefined: the group is gone */
  setGroup(name: string, days: number | undefined): Promise<void> {
    return this.#alone(async () => {
      if (days === undefined) {
        await this.#shelves.groups.remove(name)
        this.#groups.delete(name)
      } else {
        await put(this.#shelves.groups, name, { name, days })
        this.#groups.set(name, { name, days })
      }
    })
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #load(): Promise<void> {
    const { laptops, stock, thefts, groups } = this.#shelves
    for await (const { rev: _, ...laptop } of each(laptops)) this.#set({ serial: laptop.serial, laptop })
    for await (const { rev: _, ...ready } of each(stock)) this.#set({ serial: ready.serial, stock: ready })
    for await (const { rev: _, ...theft } of each(thefts)) this.#set({ serial: theft.serial, theft })
    for await (const { name, days } of each(groups)) this.#groups.set(name, { name, days })
    const { changes, damaged } = await readChanges(this.#file)
    if (damaged !== undefined) this.#log.error(damaged)
    if (changes.length === 0) return
    this.#change(changes)
    // Laptops are served from memory whether or not there is room for the documents.
    await this.#tryToWrite()
  }

  #set(part: Entry): void {
    this.#entries.set(part.serial, { ...this.#entries.get(part.serial), ...part })
  }

  #change(changes: readonly Change[]): void {
    for (const { serial, laptop, stock, theft } of changes) {
      this.#set({
        serial,
        ...(laptop !== undefined && { laptop: changed(this.#entries.get(serial)?.laptop, serial, laptop) }),
        ...(stock !== undefined && { stock }),
        ...(theft !== undefined && { theft }),
      })
      this.#unwritten.add(serial)
    }
  }

  async #tryToWrite(): Promise<void> {
    await this.#write().catch((error: unknown) =>
      this.#log.warn({ err: asError(error) }, 'changes are kept in a file until the store takes them'),
    )
  }

  /** Writes the documents of what changed, and forgets the file of changes. */
  async #write(): Promise<void> {
    if (this.#unwritten.size === 0) return
    const { laptops, stock, thefts } = this.#shelves
    const serials = [...this.#unwritten]
    for (let at = 0; at < serials.length; at += batch) {
      await Promise.all(
        serials.slice(at, at + batch).map(async (serial) => {
          const entry = this.#entries.get(serial)
          if (entry?.laptop !== undefined) await put(laptops, serial, entry.laptop)
          if (entry?.stock !== undefined) await put(stock, serial, entry.stock)
          if (entry?.theft !== undefined) await put(thefts, serial, entry.theft)
        }),
      )
    }
    this.#unwritten.clear()
    await rm(this.#file, { force: true })
  }
}

function changed(before: Laptop | undefined, serial: string, change: LaptopChange): Laptop {
  const fields = Object.entries({ ...before, ...change, serial })
  return Object.fromEntries(
    fields.filter(([, value]) => value !== null && value !== undefined),
  ) as unknown as Laptop
}

/** Puts a document in the place of the one of its key. */
async function put<D extends Doc>(collection: Collection<D>, key: string, doc: D): Promise<void> {
  const found = await collection.get(key)
  if (found === undefined) {
    await collection.insert(doc)
    return
  }
  const { rev, ...before } = found
  if (isSame(before, doc)) return
  const gone = Object.fromEntries(Object.keys(before).map((field) => [field, undefined]))
  await collection.update(key, rev, { ...gone, ...doc })
}

const isSame = (one: object, other: object): boolean => textOf(one) === textOf(other)

const textOf = (doc: object): string =>
  JSON.stringify(Object.entries(doc).sort(([a], [b]) => (a < b ? -1 : 1)))
