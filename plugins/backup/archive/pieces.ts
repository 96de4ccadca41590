import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { ObjectName } from '../tree.js'
import type { Listed } from './listing.js'

/** Some rows of a snapshot that lie together, and where they are kept. */
export interface Piece {
  /** The object that has them, with other pieces. */
  readonly bundle: ObjectName
  /** Bytes from its beginning, and how many. */
  readonly at: number
  readonly length: number
  /** Half of their sha256: 32 hex digits. */
  readonly sum: string
  /** What the files looked like, without what is in them: 16 hex digits. See checkOf(). */
  readonly check: string
}

// One row in 64 begins a piece, on an average.
const boundary = 63
/** Rows after which a piece ends wherever it is. */
const longest = 4096

/**
 * Cuts a sorted listing into what will be pieces. Where one begins is told by a path alone, so that a change in one
 * place leaves all pieces elsewhere as they were, and two snapshots share them.
 */
export function* inGroups(listed: readonly Listed[]): Generator<readonly Listed[]> {
  let start = 0
  for (let at = 1; at <= listed.length; at += 1) {
    const next = listed[at]
    if (next !== undefined && at - start < longest && !begins(next.path)) continue
    yield listed.slice(start, at)
    start = at
  }
}

const begins = (path: string): boolean => (crc32(path) & boundary) === 0

/** A hash of names, kinds, modes, sizes and times: while it stays, a group need not be looked at row by row. */
export function checkOf(group: readonly Listed[]): string {
  let text = ''
  for (const { path, type, mode, size, seconds, nanos, target } of group)
    text += `${type} ${mode} ${type === 'file' ? size : 0} ${seconds} ${nanos} ${path}\0${target}\0`
  return createHash('sha256').update(text, 'latin1').digest('hex').slice(0, 16)
}
