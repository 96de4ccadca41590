import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { StoreError } from '../../errors.js'
import { diskFault, failingHint, isFull } from '../../lib/disk-fault.js'
import { makeFolder } from '../../lib/durable-file.js'
import type { DirectoryGuard } from '../../lib/kept-directory.js'
import type { Collection, CollectionSpec, Doc, Store, StoreStatus } from '../contract.js'
import { NedbCollection } from './collection.js'
import type { Owner, Reloaded } from './owner.js'

/** Room that must be there before writes are accepted again: more than a class's registrations at once. */
const roomNeeded = 256 << 10
const secondsBetweenTries = 1

/** The store that needs nothing but a directory: a NeDB file for each collection. */
export class NedbStore implements Store {
  readonly #folder: string
  readonly #log: Logger
  readonly #directory: Pick<DirectoryGuard, 'problem'> | undefined
  readonly #collections = new Map<string, NedbCollection<Doc>>()
  readonly #repairs: string[] = []
  /** Collections whose memory runs ahead of the disk. */
  readonly #damaged = new Set<Reloaded>()
  #failure: Error | undefined
  #recovery: NodeJS.Timeout | undefined
  #recovering: Promise<void> | undefined
  #closed = false

  /** @param directory says whether the folder is still the one that it was */
  constructor(folder: string, log: Logger, directory?: Pick<DirectoryGuard, 'problem'>) {
    this.#folder = folder
    this.#log = log
    this.#directory = directory
  }

  async open<D extends Doc>(name: string, spec: CollectionSpec<D>): Promise<Collection<D>> {
    if (!/^[a-z][a-z0-9-]*\/[a-z][a-z0-9-]*$/.test(name)) {
      throw new StoreError('STORE_INVALID', `a collection's name looks like "id/users", not "${name}"`)
    }
    this.#readable()
    if (this.#collections.has(name))
      throw new StoreError('STORE_INVALID', `collection ${name} is open already`)
    const path = join(this.#folder, `${name.replace('/', '.')}.db`)
    await makeFolder(this.#folder)
    const collection = await NedbCollection.open(path, name, spec, this.#owner(name))
    this.#collections.set(name, collection as unknown as NedbCollection<Doc>)
    return collection
  }

  status(): StoreStatus {
    return {
      driver: 'nedb',
      readOnly: (this.#failure ?? this.#directory?.problem())?.message,
      repairs: this.#repairs,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#recovery)
    await this.#recovering
    await Promise.all([...this.#collections.values()].map((collection) => collection.close()))
  }

  #owner(name: string): Owner {
    return {
      readable: () => this.#readable(),
      writable: () => this.#writable(),
      failed: (collection, error) => this.#fail(name, collection, error),
      repaired: (what) => {
        this.#repairs.push(what)
        this.#log.warn({ collection: name }, `store repaired: ${what}`)
      },
      note: (what) => this.#log.warn({ collection: name }, what),
    }
  }

  #readable(): void {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'the store is closed')
  }

  #writable(): void {
    this.#readable()
    const away = this.#failure === undefined ? this.#directory?.problem() : undefined
    if (away !== undefined)
      throw new StoreError('STORE_READ_ONLY', `nothing can be kept now: ${away.message}`, {
        hint: away.hint,
        cause: away,
      })
    if (this.#failure === undefined) return
    throw new StoreError('STORE_READ_ONLY', `nothing can be kept now: ${this.#failure.message}`, {
      hint: hintFor(this.#failure),
      cause: this.#failure,
    })
  }

  #fail(name: string, collection: Reloaded, error: Error): void {
    this.#damaged.add(collection)
    if (this.#failure === undefined || (this.#passes() && !isFull(error))) {
      this.#failure = error
      this.#log.error(
        { collection: name, err: error },
        'a write to the store failed: it is read-only from now on',
      )
    }
    this.#retry(0)
  }

  /** After a failed sync the kernel may have dropped pages that it calls clean: only a restart can be trusted. */
  #passes(): boolean {
    return isFull(this.#failure)
  }

  #retry(seconds: number): void {
    if (this.#closed || this.#recovering !== undefined) return
    clearTimeout(this.#recovery)
    this.#recovery = setTimeout(() => {
      this.#recovering = this.#recover().then((again) => {
        this.#recovering = undefined
        if (again) this.#retry(secondsBetweenTries)
      })
    }, seconds * 1000).unref()
  }

  /** @returns whether to try again */
  async #recover(): Promise<boolean> {
    try {
      for (const collection of this.#damaged) {
        await collection.reload(this.#passes())
        this.#damaged.delete(collection)
      }
      if (!this.#passes()) return false
      await this.#needRoom()
    } catch (error) {
      if (!isFull(error))
        this.#log.error({ err: error }, 'the store could not be brought back; restart sugar-server')
      return true
    }
    if (this.#damaged.size > 0 || !this.#passes()) return true
    this.#failure = undefined
    this.#log.warn('there is room again: the store accepts writes')
    return false
  }

  async #needRoom(): Promise<void> {
    const path = join(this.#folder, '.room')
    try {
      const file = await open(path, 'w', 0o600)
      try {
        await file.writeFile(Buffer.alloc(roomNeeded, 1))
        await file.sync()
      } finally {
        await file.close()
      }
    } finally {
      await rm(path, { force: true })
    }
  }
}

/** The next step after a write that failed. */
function hintFor(failure: unknown): string {
  const fault = diskFault(failure)
  if (fault === 'full') return 'make room on the disk'
  return fault === 'failing' ? failingHint : 'check the disk, then restart sugar-server'
}
