import { type Delivery, RequestError, SugarError } from '../../../core/api.js'
import { stickCompanions } from '../journal/companions.js'
import { staysInside } from '../journal/path.js'
import type { StickFacts } from '../journal/stick.js'
import type { BytePath, LinkRow, Row, Tree } from '../tree.js'
import { entryAt } from './entries.js'
import type { Progress } from './progress.js'
import { folded } from './unfold.js'

export interface Restoring {
  readonly uid: string
  readonly at?: string | undefined
  /** Uids of entries; the whole Journal without them. */
  readonly entries?: readonly string[] | undefined
  /** What the laptop sent besides its Journal, instead of that. */
  readonly documents?: boolean | undefined
  /** By its ending it is a bundle of one entry (.xoj), of a Journal (.xob), or a directory. */
  readonly to: string
  /** `stick`: files that Sugar reads from a USB stick, for the directory `to`. */
  readonly form?: 'stick' | undefined
  /** Of the account on the laptop; for a .xob file. */
  readonly home?: string | undefined
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
  /** What was written for a stick. */
  readonly stick?: StickFacts
}

/** A Journal, or an entry of it, on its way out. */
export interface Parcel {
  readonly delivery: Delivery
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
  { entries, to, documents, form, home }: Pick<Restoring, 'entries' | 'to' | 'documents' | 'form' | 'home'>,
  progress: Progress,
): Promise<Parcel> {
  const wanted = entries === undefined ? undefined : new Set(entries)
  const [entry, second] = wanted ?? []
  const lost = form !== 'stick' && to.endsWith('.xoj') ? [] : await damagedIn(tree, wanted, progress)
  const tally = new Tally(tree, new Set(lost), progress)
  const facts = () => ({ files: tally.files, bytes: tally.bytes, skipped: tally.skipped, lost })
  if (form === 'stick') {
    const { writeStick } = await import('../journal/stick.js')
    const whole = new Tally(tree, new Set(), progress)
    const { content, facts: stick } = writeStick(whole, { only: wanted, damaged: new Set(lost) })
    return {
      delivery: { to, form: 'additions', companions: stickCompanions },
      content,
      facts: () => ({ files: whole.files, bytes: whole.bytes, skipped: [], lost: stick.lost, stick }),
    }
  }
  if (to.endsWith('.xoj')) {
    if (entry === undefined || second !== undefined) {
      throw new RequestError('USAGE', 'a .xoj file holds one entry', {
        hint: 'name it with --entry, or write a .xob file for a whole Journal',
      })
    }
    const { writeXoj } = await import('../journal/xoj.js')
    const { readEntry } = await import('../journal/entry.js')
    lost.push(...readEntry(tree, entry).lost.map(({ key }) => key))
    return { delivery: { to, form: 'file' }, content: writeXoj(tally, entry), facts }
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
    return {
      delivery: { to, form: 'file' },
      content: writeXob(tally, home === undefined ? {} : { home }),
      facts,
    }
  }
  const part = wanted === undefined ? tally : onlyEntries(tally, wanted)
  const relink = (row: LinkRow) => {
    if (staysInside(row)) return row.target
    tally.skipped.push(row.path)
    return undefined
  }
  return { delivery: { to, form: 'directory' }, content: folded(part, relink), facts }
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
async function damagedIn(
  tree: Tree,
  wanted: ReadonlySet<string> | undefined,
  progress: Progress,
): Promise<BytePath[]> {
  const lost: BytePath[] = []
  for (const row of tree.rows()) {
    if (row.type !== 'file' || typeof row.content !== 'string') continue
    if (wanted !== undefined && !wanted.has(entryAt(row.path)?.uid ?? '')) continue
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

/** The rows of some entries alone, and the directories that they are in. @throws RequestError NOT_FOUND */
function onlyEntries(tree: Tree, wanted: ReadonlySet<string>): Tree {
  const isPart = ({ path }: Row) => wanted.has(entryAt(path)?.uid ?? '')
  const above = new Set<BytePath>([''])
  const found = new Set<string>()
  for (const row of tree.rows()) {
    if (!isPart(row)) continue
    found.add(entryAt(row.path)?.uid ?? '')
    for (let end = row.path.indexOf('/'); end !== -1; end = row.path.indexOf('/', end + 1))
      above.add(row.path.slice(0, end))
  }
  const missing = [...wanted].find((uid) => !found.has(uid))
  if (missing !== undefined) throw noEntry(missing)
  return {
    *rows() {
      for (const row of tree.rows()) if (isPart(row) || above.has(row.path)) yield row
    },
    read: (row, limit) => tree.read(row, limit),
    pieces: (row) => tree.pieces(row),
  }
}

const noEntry = (uid: string): RequestError =>
  new RequestError('NOT_FOUND', `there is no entry ${uid} in this snapshot`, {
    hint: '"sugar-server backup entries USER" lists them',
  })
