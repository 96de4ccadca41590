import { token } from '../kernel/token.js'

/** A document: JSON and nothing else, since that is what survives a trip through any driver. Dates are ISO 8601 text. */
export type Doc = object

/** A document as it stands in the store: `rev` counts its versions from 1. */
export type Stored<D extends Doc> = Readonly<D> & { readonly rev: number }

/** How one version's documents become the next version's. Called once a document; must not look elsewhere. */
export type Migration = (doc: Record<string, unknown>) => Record<string, unknown>

/** What a plugin says of the documents it keeps. */
export interface CollectionSpec<D extends Doc> {
  /** The field that names a document: a string of 1 to 200 characters. */
  readonly key: keyof D & string
  /** Fields that find() and count() may ask for: strings or numbers, or lists of them. */
  readonly indexes?: readonly (keyof D & string)[]
  /** Version of the documents' shape, counted from 1. */
  readonly version?: number
  /** `migrations[2]` makes documents of version 1 into version 2. */
  readonly migrations?: Readonly<Record<number, Migration>>
}

/** What a plugin keeps, by name. */
// biome-ignore lint/suspicious/noExplicitAny: a collection of some kind of document; Doc itself would refuse them all.
export type Collections = Readonly<Record<string, CollectionSpec<any>>>

export type Where<D extends Doc> = { readonly [K in keyof D]?: string | number }

/** Fields to replace; `undefined` removes one. */
export type Change<D extends Doc> = { readonly [K in keyof D]?: D[K] | undefined }

export interface Page<D extends Doc> {
  /** At most so many documents, 1,000 if not said. */
  limit?: number
  /** Go on behind this document of the page before. */
  after?: Stored<D>
  /**
   * Order by this indexed field, then by key; by key alone if not said. Documents without it are left out. The field
   * must hold text in all documents, or a number in all.
   */
  by?: keyof D & string
}

/**
 * Documents of one kind. What a call resolved to has reached the disk: it survives `kill -9` and a power cut,
 * and a read never shows what has not.
 *
 * Every call may throw StoreError: STORE_CONFLICT (key taken, or rev moved on), STORE_READ_ONLY (a write failed;
 * reads go on), STORE_CLOSED, STORE_INVALID (a key, document or field the contract does not allow).
 */
export interface Collection<D extends Doc> {
  get(key: string): Promise<Stored<D> | undefined>
  /** Documents whose fields equal, or as lists contain, what is asked for. */
  find(where: Where<D>, page?: Page<D>): Promise<Stored<D>[]>
  count(where: Where<D>): Promise<number>
  insert(doc: D): Promise<Stored<D>>
  update(key: string, rev: number, change: Change<D>): Promise<Stored<D>>
  /** @returns whether it was there */
  remove(key: string): Promise<boolean>
}

/** The state of the store as a whole, for status and health. */
export interface StoreStatus {
  driver: string
  /** Why nothing is accepted, when nothing is. */
  readOnly?: string | undefined
  /** Repairs made when the store was opened, one sentence each. */
  repairs: readonly string[]
}

/** A driver. `name` is `plugin/collection`. */
export interface Store {
  open<D extends Doc>(name: string, spec: CollectionSpec<D>): Promise<Collection<D>>
  status(): StoreStatus
  /** Waits for writes under way, then refuses everything. */
  close(): Promise<void>
}

export const Store = token<Store>('core/store@1')

/** Goes through a whole collection, a page at a time. */
export async function* each<D extends Doc>(
  collection: Collection<D>,
  where: Where<D> = {},
): AsyncGenerator<Stored<D>> {
  let after: Stored<D> | undefined
  do {
    const page: Stored<D>[] = await collection.find(where, after === undefined ? {} : { after })
    yield* page
    after = page.at(-1)
  } while (after !== undefined)
}
