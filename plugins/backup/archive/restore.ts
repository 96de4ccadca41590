import { RequestError, SugarError } from '../../../core/api.js'
import { staysInside } from '../journal/path.js'
import type { BytePath, LinkRow, Row, Tree } from '../tree.js'
import { entryAt } from './entries.js'
import type { Progress } from './progress.js'
import { folded } from './unfold.js'

export interface Restoring {
  readonly uid: string
  readonly at?: string | undefined
  /** One entry of the Journal; everything when not said. */
  readonly entry?: string | undefined
  /** What the laptop sent besides its Journal, instead of that. */
  readonly documents?: boolean | undefined
  /** By its ending it is a bundle of one entry (.xoj), of a Journal (.xob), or a directory. */
  readonly to: string
  /** A unix socket, where the content is waited for. */
  readonly socket: string
}

export interface Restored {
  readonly snapshot: string
  readonly files: number
  readonly bytes: number
  /** Links that lead out of the Journal, and are not made. */
  readonly skipped: readonly string[]
  /** What is damaged, and left out: files; of an entry in a .xoj file its properties. */
  readonly lost: readonly BytePath[]
}

/** A Journal, or an entry of it, on its way out. */
export interface Parcel {
  readonly form: 'file' | 'directory'
  /**
   * A file's bytes, or a tar stream. What is found damaged is left out and named; what turns out so later fails it:
   * better nothing than something that is short.
   */
  readonly content: AsyncIterable<Uint8Array>
  /** What passed, once it has. */
  facts(): Omit<Restored, 'snapshot'>
}

/** Packs a tree in the form that its destination asks for. @throws RequestError USAGE, NOT_FOUND */
export async function parcelOf(
  tree: Tree,
  { entry, to, documents }: Pick<Restoring, 'entry' | 'to' | 'documents'>,
  progress: Progress,
): Promise<Parcel> {
  const lost = to.endsWith('.xoj') ? [] : await damagedIn(tree, entry, progress)
  const tally = new Tally(tree, new Set(lost), progress)
  const facts = () => ({ files: tally.files, bytes: tally.bytes, skipped: tally.skipped, lost })
  if (to.endsWith('.xoj')) {
    if (entry === undefined) {
      throw new RequestError('USAGE', 'a .xoj file holds one entry', {
        hint: 'name it with --entry, or write a .xob file for a whole Journal',
      })
    }
    const { writeXoj } = await import('../journal/xoj.js')
    const { readEntry } = await import('../journal/entry.js')
    lost.push(...readEntry(tree, entry).lost.map(({ key }) => key))
    return { form: 'file', content: writeXoj(tally, entry), facts }
  }
  if (to.endsWith('.xob')) {
    if (entry !== undefined) {
      throw new RequestError('USAGE', 'a .xob file holds a whole Journal', {
        hint: 'write a .xoj file for one entry',
      })
    }
    if (documents === true) {
      throw new RequestError('USAGE', 'documents are no Journal, and go into no .xob file', {
        hint: 'name a new directory',
      })
    }
    const { writeXob } = await import('../journal/xob.js')
    return { form: 'file', content: writeXob(tally), facts }
  }
  const part = entry === undefined ? tally : onlyEntry(tally, entry)
  const relink = (row: LinkRow) => {
    if (staysInside(row)) return row.target
    tally.skipped.push(row.path)
    return undefined
  }
  return { form: 'directory', content: folded(part, relink), facts }
}

/** Counts what passes, and hides from a restored file what only mattered on the server. */
class Tally implements Tree {
  files = 0
  bytes = 0
  readonly skipped: string[] = []
  readonly #tree: Tree
  readonly #without: ReadonlySet<BytePath>
  readonly #progress: Progress

  constructor(tree: Tree, without: ReadonlySet<BytePath>, progress: Progress) {
    this.#tree = tree
    this.#without = without
    this.#progress = progress
  }

  *rows(): Generator<Row> {
    for (const row of this.#tree.rows()) {
      // Setuid and its like were the laptop's business.
      if (!this.#without.has(row.path)) yield { ...row, mode: row.mode & 0o777 }
    }
  }

  read: Tree['read'] = (row, limit) => this.#tree.read(row, limit)

  pieces: Tree['pieces'] = (row) => {
    this.files += 1
    this.bytes += row.size
    this.#progress.step(row.size)
    return this.#tree.pieces(row)
  }
}

/** Files that are not what was put in; each is read to its end. */
async function damagedIn(tree: Tree, entry: string | undefined, progress: Progress): Promise<BytePath[]> {
  const lost: BytePath[] = []
  for (const row of tree.rows()) {
    if (row.type !== 'file' || typeof row.content !== 'string') continue
    if (entry !== undefined && entryAt(row.path)?.uid !== entry) continue
    progress.step(0)
    try {
      for await (const _ of tree.pieces(row)) {
        // Hashed on the way.
      }
    } catch (error) {
      if (!(error instanceof SugarError && error.code === 'DAMAGED')) throw error
      lost.push(row.path)
    }
  }
  return lost
}

/** One entry's rows alone, and the directories that they are in. @throws RequestError NOT_FOUND */
function onlyEntry(tree: Tree, entry: string): Tree {
  const isPart = ({ path }: Row) => entryAt(path)?.uid === entry
  const above = new Set<BytePath>([''])
  let found = false
  for (const row of tree.rows()) {
    if (!isPart(row)) continue
    found = true
    for (let end = row.path.indexOf('/'); end !== -1; end = row.path.indexOf('/', end + 1))
      above.add(row.path.slice(0, end))
  }
  if (!found) {
    throw new RequestError('NOT_FOUND', `there is no entry ${entry} in this snapshot`, {
      hint: '"sugar-server backup entries USER" lists them',
    })
  }
  return {
    *rows() {
      for (const row of tree.rows()) if (isPart(row) || above.has(row.path)) yield row
    },
    read: (row, limit) => tree.read(row, limit),
    pieces: (row) => tree.pieces(row),
  }
}
