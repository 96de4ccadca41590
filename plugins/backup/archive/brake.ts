import type { BytePath, Row } from '../tree.js'
import { entryAt } from './entries.js'

/** Below so many entries nothing can be told from what happens to them. */
const fewest = 4
/** Share of a Journal that no ordinary day removes or rewrites. */
const most = 0.5

/** What became of a Journal's entries from one snapshot to the next. */
export interface Upheaval {
  readonly before: number
  readonly removed: number
  readonly rewritten: number
}

/**
 * Looks for what befalls Journals: a laptop that was reflashed and backs up before it restores, files encrypted or
 * wiped. It is told of all paths that there are, and of the rows, before and now, of the pieces that changed.
 */
export class Brake {
  readonly #here = new Set<string>()
  readonly #was = new Map<string, string | undefined>()
  readonly #is = new Map<string, string | undefined>()
  /** The folder of the entry that was told last: paths come sorted, and a dozen in a row are of one entry. */
  #inside = '/'

  /** @param path within the Journal */
  here(path: BytePath): void {
    if (path.startsWith(this.#inside)) return
    const entry = entryAt(path)
    if (entry === undefined) return
    this.#here.add(entry.uid)
    if (path.endsWith(`/${entry.uid}`)) this.#inside = `${path}/`
  }

  was(path: BytePath, row: Row): void {
    note(this.#was, path, row)
  }

  is(path: BytePath, row: Row): void {
    note(this.#is, path, row)
  }

  /** Entries of the Journal as it is. */
  get entries(): number {
    return this.#here.size
  }

  /** @param before entries that there were */
  upheaval(before: number): Upheaval {
    let removed = 0
    let rewritten = 0
    for (const [uid, content] of this.#was) {
      if (!this.#here.has(uid)) removed += 1
      else if (content !== undefined && this.#is.get(uid) !== content) rewritten += 1
    }
    return { before, removed, rewritten }
  }
}

/** Whether so much has gone that the snapshot before must be kept. */
export const isUpheaval = ({ before, removed, rewritten }: Upheaval): boolean =>
  before >= fewest && removed + rewritten > most * before

function note(entries: Map<string, string | undefined>, path: BytePath, row: Row): void {
  const entry = entryAt(path)
  if (entry === undefined) return
  if (row.type === 'file' && entry.isData) {
    entries.set(entry.uid, typeof row.content === 'string' ? row.content : `= ${hex(row.content)}`)
  } else if (!entries.has(entry.uid)) entries.set(entry.uid, undefined)
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
