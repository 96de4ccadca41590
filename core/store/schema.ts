import { StoreError } from '../errors.js'
import type { Change, CollectionSpec, Doc, Stored } from './contract.js'

/** A document in the form that drivers keep: indexed fields beside the document's own text. */
export interface Row {
  key: string
  rev: number
  /** Version of the document's shape. */
  version: number
  indexed: Record<string, string | number | readonly (string | number)[]>
  /** The document as JSON: no field name or value can mean anything to the database. */
  body: string
}

const longestKey = 200
const largestBody = 1 << 20

export const versionOf = <D extends Doc>(spec: CollectionSpec<D>): number => spec.version ?? 1

const invalid = (message: string): StoreError => new StoreError('STORE_INVALID', message)

export function checkKey(key: unknown): asserts key is string {
  if (
    typeof key !== 'string' ||
    key === '' ||
    key.length > longestKey ||
    !key.isWellFormed() ||
    key.includes('\0')
  ) {
    throw invalid(`a document's key is text of 1 to ${longestKey} characters`)
  }
}

/** @throws StoreError STORE_INVALID unless the collection is indexed by the field */
export function checkIndexed<D extends Doc>(spec: CollectionSpec<D>, fields: readonly string[]): void {
  for (const field of fields) {
    if (field !== spec.key && !spec.indexes?.some((index) => index === field))
      throw invalid(`no index on "${field}"`)
  }
}

export function rowOf<D extends Doc>(spec: CollectionSpec<D>, doc: D, rev: number): Row {
  if ('rev' in doc) throw invalid('"rev" is the store\'s own field')
  const key: unknown = doc[spec.key]
  checkKey(key)
  const body = JSON.stringify(doc)
  if (Buffer.byteLength(body) > largestBody) throw invalid(`document ${key} is larger than 1 MiB`)
  const indexed: Row['indexed'] = {}
  for (const index of spec.indexes ?? []) {
    const value: unknown = doc[index]
    if (value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0))
      indexed[index] = indexable(value, index)
  }
  return { key: detached(key), rev, version: versionOf(spec), indexed, body }
}

export const docOf = <D extends Doc>(row: Pick<Row, 'body' | 'rev'>): Stored<D> => ({
  ...(JSON.parse(row.body) as D),
  rev: row.rev,
})

/** The document with its fields replaced; a field that `change` sets to undefined is gone. */
export function changed<D extends Doc>(doc: Stored<D>, change: Change<D>, key: keyof D): D {
  if (key in change && change[key] !== doc[key]) throw invalid('a document keeps its key')
  const { rev: _, ...fields } = { ...doc, ...change }
  return fields as unknown as D
}

/** Brings a row of an older version to the present one. */
export function migrate<D extends Doc>(
  name: string,
  spec: CollectionSpec<D>,
  row: Pick<Row, 'body' | 'version' | 'rev'>,
): Row {
  const present = versionOf(spec)
  if (row.version > present) {
    throw new StoreError(
      'STORE_NEWER',
      `${name} holds documents of version ${row.version}, this server knows ${present}`,
      {
        hint: 'install the sugar-server that wrote them, or a newer one',
      },
    )
  }
  let doc = JSON.parse(row.body) as Record<string, unknown>
  for (let version = row.version + 1; version <= present; version += 1) {
    const step = spec.migrations?.[version]
    if (step === undefined) throw invalid(`${name} has no migration to version ${version}`)
    doc = step(doc)
  }
  return rowOf(spec, doc as D, row.rev + 1)
}

// V8 keeps a word of so many characters that is cut from a text as a view of the whole text.
const cutAsView = 13

/** The same text in memory of its own: a word cut from a request would keep the whole request alive. */
const detached = (word: string): string =>
  word.length < cutAsView ? word : (JSON.parse(JSON.stringify(word)) as string)

function indexable(value: unknown, field: string): Row['indexed'][string] {
  const scalars: unknown[] = Array.isArray(value) ? value : [value]
  if (!scalars.every((one): one is string | number => typeof one === 'string' || typeof one === 'number')) {
    throw invalid(`indexed field "${field}" holds text, numbers or lists of them`)
  }
  const kept = scalars.map((one) => (typeof one === 'string' ? detached(one) : one))
  return Array.isArray(value) ? kept : (kept[0] ?? '')
}
