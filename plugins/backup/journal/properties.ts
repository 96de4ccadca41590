import { SugarError } from '../../../core/api.js'
import type { BytePath, FileRow, Tree } from '../tree.js'
import { type EntryRows, isKey } from './layout.js'

/** Bytes of one value: Sugar itself reads none that is larger (sugar-datastore, metadatareader.c). */
export const valueLimit = 500 << 10
/** Bytes of the properties of one entry together, and of the JSON of layout 0. */
const entryLimit = 8 << 20
const countLimit = 1000

/** A value that is there but cannot be had. */
export interface Lost {
  /** `.metadata` stands for all properties of layout 0. */
  readonly key: BytePath
  readonly why: 'too large' | 'damaged'
}

/** By key: file names of layouts 1 to 6; for layout 0 the same bytes. */
export type Properties = Map<BytePath, Buffer>

/**
 * Reads the properties of an entry, whatever its layout; "" is a value. `preview` is one of them.
 * @param wanted the keys; all without it
 * @param lost is told what had to be left out; the rest is good
 */
export function propertiesOf(
  tree: Tree,
  rows: EntryRows,
  wanted: ReadonlySet<BytePath> | undefined,
  lost: (value: Lost) => void,
): Properties {
  const properties: Properties = new Map()
  let room = entryLimit
  const take = (key: BytePath, row: FileRow, limit: number): Buffer | undefined => {
    if (row.size > Math.min(limit, room) || properties.size >= countLimit) {
      lost({ key, why: 'too large' })
      return undefined
    }
    room -= row.size
    return readOr(tree, row, () => lost({ key, why: 'damaged' }))
  }

  for (const key of wanted ?? rows.properties.keys()) {
    const row = rows.properties.get(key)
    const value = row === undefined ? undefined : take(key, row, valueLimit)
    if (value !== undefined) properties.set(key, value)
  }
  if (rows.preview !== undefined && (wanted?.has('preview') ?? true) && !rows.properties.has('preview')) {
    const value = take('preview', rows.preview, valueLimit)
    if (value !== undefined) properties.set('preview', value)
  }
  const json = rows.json === undefined ? undefined : take('.metadata', rows.json, entryLimit)
  if (json !== undefined) {
    const parsed = parseOld(json)
    if (parsed === undefined) lost({ key: '.metadata', why: 'damaged' })
    for (const [key, value] of parsed ?? []) {
      if ((wanted === undefined || wanted.has(key)) && !properties.has(key)) properties.set(key, value)
    }
  }
  return properties
}

/** Only what is known to be the fault of this one file is: a machine short of files or memory is no damage. */
function readOr(tree: Tree, row: FileRow, damaged: () => void): Buffer | undefined {
  try {
    return tree.read(row, row.size)
  } catch (error) {
    if (!(error instanceof SugarError && (error.code === 'DAMAGED' || error.code === 'REQUEST_TOO_LARGE')))
      throw error
    damaged()
    return undefined
  }
}

/** The JSON of layout 0 as Sugar migrates it: `title:text` is `title`, and what is no text is written as one. */
function parseOld(bytes: Buffer): Properties | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined
  const properties: Properties = new Map()
  for (const [name, value] of Object.entries(parsed)) {
    const key = Buffer.from(name.split(':', 1)[0] ?? '').toString('latin1')
    const text = oldText(value)
    if (text === undefined || !isKey(key) || properties.size >= countLimit) continue
    properties.set(key, Buffer.from(text))
  }
  return properties
}

function oldText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (value === null) return undefined
  try {
    return JSON.stringify(value)
  } catch {
    // Nested deeper than the stack allows.
    return undefined
  }
}
