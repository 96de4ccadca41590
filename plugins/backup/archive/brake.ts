import type { BytePath, Row } from '../tree.js'
import { entryAt } from './entries.js'
import { datastore, documents } from './layout.js'

/** Below so many of a kind nothing can be told from what happens to them. */
const fewest = 4
/** Share of a kind that no ordinary day removes or rewrites. */
const most = 0.5

/** What Sugar makes anew by itself, beside the entries (docs/reference/protocols.md: backup, The Journal on disk). */
const rebuildable = /^(?:datastore\/)?(?:(?:index|checksums)(?:\/|$)|index_updated$|ds_clean$|version$)/

/**
 * What is counted, each kind by itself, so that none hides among many of another: entries of Sugar's layout, files of
 * a Journal in any other layout, and documents.
 */
export const kinds = ['entries', 'files', 'documents'] as const
export type Kind = (typeof kinds)[number]
export type Counts = Readonly<Record<Kind, number>>

/** What became of one kind from one snapshot to the next. */
export interface Upheaval {
  readonly kind: Kind
  readonly before: number
  readonly removed: number
  readonly rewritten: number
}

/** An entry, or a file that counts by itself. */
interface Unit {
  readonly kind: Kind
  readonly name: string
  /** Whether the path is what the child made, and not what is said about it. */
  readonly isContent: boolean
}

/**
 * Looks for what befalls Journals: a laptop that was reflashed and backs up before it restores, files encrypted or
 * wiped. It is told of all paths that there are, and of the rows, before and now, of the pieces that changed. Paths
 * begin with their place: `datastore-current/...`.
 */
export class Brake {
  readonly #here = newKinds(() => new Set<string>())
  readonly #was = newKinds(() => new Map<string, string | undefined>())
  readonly #is = newKinds(() => new Map<string, string | undefined>())
  /** The folder of the entry that was told last: paths come sorted, and a dozen in a row are of one entry. */
  #inside = '/'

  here(path: BytePath, isFile: boolean): void {
    if (path.startsWith(this.#inside)) return
    const unit = unitOf(path, isFile)
    if (unit === undefined) return
    this.#here[unit.kind].add(unit.name)
    if (unit.kind === 'entries' && path.endsWith(`/${unit.name}`)) this.#inside = `${path}/`
  }

  was(path: BytePath, row: Row): void {
    note(this.#was, path, row)
  }

  is(path: BytePath, row: Row): void {
    note(this.#is, path, row)
  }

  /** How many there are now. */
  get counts(): Counts {
    return newKinds((kind) => this.#here[kind].size)
  }

  /**
   * The kind of which most has gone, where that is so much that the snapshot before must be kept.
   * @param entries that there were, where that is known
   */
  upheaval(entries?: number): Upheaval | undefined {
    return kinds
      .map((kind) => this.#upheavalOf(kind, kind === 'entries' ? entries : undefined))
      .find(isUpheaval)
  }

  #upheavalOf(kind: Kind, known: number | undefined): Upheaval {
    const here = this.#here[kind]
    const was = this.#was[kind]
    const is = this.#is[kind]
    // Of a file that has another name now nothing is lost; of an entry, the child would not find it.
    const moved = kind === 'entries' ? new Set<string | undefined>() : new Set(is.values())
    let gone = 0
    let removed = 0
    let rewritten = 0
    for (const [name, content] of was) {
      if (!here.has(name)) {
        gone += 1
        if (!moved.has(content)) removed += 1
      } else if (content !== undefined && is.get(name) !== content) rewritten += 1
    }
    let came = 0
    for (const name of is.keys()) if (!was.has(name)) came += 1
    return { kind, before: known ?? Math.max(was.size, here.size - came + gone), removed, rewritten }
  }
}

const isUpheaval = ({ before, removed, rewritten }: Upheaval): boolean =>
  before >= fewest && removed + rewritten > most * before

const newKinds = <V>(make: (kind: Kind) => V): Record<Kind, V> => ({
  entries: make('entries'),
  files: make('files'),
  documents: make('documents'),
})

function unitOf(path: BytePath, isFile: boolean): Unit | undefined {
  if (path.startsWith(`${documents}/`))
    return isFile ? { kind: 'documents', name: path, isContent: true } : undefined
  if (!path.startsWith(`${datastore}/`)) return undefined
  const inside = path.slice(datastore.length + 1)
  const entry = entryAt(inside)
  if (entry !== undefined) return { kind: 'entries', name: entry.uid, isContent: isFile && entry.isData }
  return isFile && !rebuildable.test(inside) ? { kind: 'files', name: inside, isContent: true } : undefined
}

function note(units: Record<Kind, Map<string, string | undefined>>, path: BytePath, row: Row): void {
  const unit = unitOf(path, row.type === 'file')
  if (unit === undefined) return
  const known = units[unit.kind]
  if (unit.isContent && row.type === 'file') known.set(unit.name, contentOf(row))
  else if (!known.has(unit.name)) known.set(unit.name, undefined)
}

const contentOf = ({ content }: Extract<Row, { type: 'file' }>): string =>
  typeof content === 'string' ? content : `= ${Buffer.from(content).toString('hex')}`
