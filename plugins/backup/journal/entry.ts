import { RequestError } from '../../../core/api.js'
import type { FileRow, Tree } from '../tree.js'
import { layoutOf } from './layout.js'
import { pngOf } from './preview.js'
import { type Lost, type Properties, propertiesOf } from './properties.js'

/** One entry, whole. */
export interface WholeEntry {
  readonly uid: string
  /** All properties, `preview` as it was stored among them: bytes by key. */
  readonly metadata: Properties
  /** undefined when the entry has properties only. */
  readonly data: FileRow | undefined
  /** PNG. */
  readonly preview: Buffer | undefined
  /** What of the properties is lost, so that whoever restores it can say so. */
  readonly lost: readonly Lost[]
}

/** @throws RequestError NOT_FOUND */
export function readEntry(tree: Tree, uid: string): WholeEntry {
  const rows = layoutOf(tree, uid).entries.get(uid)
  if (rows === undefined) throw new RequestError('NOT_FOUND', 'this Journal has no entry with this uid')
  const lost: Lost[] = []
  const metadata = propertiesOf(tree, rows, undefined, (value) => lost.push(value))
  const preview = metadata.get('preview')
  return {
    uid: rows.uid,
    metadata,
    data: rows.data,
    preview: preview === undefined ? undefined : pngOf(preview),
    lost,
  }
}
