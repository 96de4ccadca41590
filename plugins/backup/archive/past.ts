import type { BytePath, Row } from '../tree.js'
import type { Bundles } from './bundles.js'
import type { Listed } from './listing.js'
import type { Header, Manifest } from './manifest.js'
import { checkOf, type Piece } from './pieces.js'

/** The snapshot before, asked what of it still holds. */
export class Past {
  readonly #bundles: Bundles
  /** Pieces that are as they were written, by their checks. */
  readonly #pieces = new Map<string, Piece>()
  readonly #sums = new Map<string, Piece>()
  readonly #kept = new Set<Piece>()
  readonly #rows = new Map<BytePath, Row>()
  readonly #seen: Header['seen'] | undefined

  /**
   * @param before undefined when there is none
   * @param sameTree whether it was taken of the same files: only then the kernel's times say anything
   */
  constructor(bundles: Bundles, before: Manifest | undefined, sameTree: boolean) {
    this.#bundles = bundles
    this.#seen = sameTree ? seenBy(before) : undefined
    // What rotted since is not carried on: its files are read again.
    for (const piece of before?.pieces ?? []) {
      if (!bundles.isWhole(piece)) continue
      this.#pieces.set(piece.check, piece)
      this.#sums.set(piece.sum, piece)
    }
  }

  /** The piece that has a group's rows already, where nothing of them has changed, and their check. */
  look(group: readonly Listed[]): { piece: Piece | undefined; check: string } {
    const check = checkOf(group)
    const piece = this.#pieces.get(check)
    if (piece === undefined || !group.every((here) => here.type !== 'file' || this.#isSettled(here)))
      return { piece: undefined, check }
    this.#kept.add(piece)
    return { piece, check }
  }

  /** The piece that has exactly these rows. @param sum of them, packed */
  same(sum: string): Piece | undefined {
    return this.#sums.get(sum)
  }

  /** Reads the rows of the pieces that were not asked for: those in which something was otherwise. */
  recall(tell: (row: Row) => void): void {
    for (const piece of this.#pieces.values()) {
      if (this.#kept.has(piece)) continue
      for (const row of this.#bundles.rows(piece)) {
        this.#rows.set(row.path, row)
        tell(row)
      }
    }
  }

  /** The row of something that has not changed since it was last read; undefined for a file that must be read. */
  carriedOver(here: Listed): Row | undefined {
    const { path, mode, seconds, nanos, size } = here
    if (here.type === 'directory') return { path, mode, seconds, nanos, type: 'directory' }
    if (here.type === 'link')
      return { path, mode, seconds, nanos, type: 'link', target: unmunged(here.target) }
    const row = this.#rows.get(path)
    if (row?.type !== 'file' || row.size !== size || !this.#isSettled(here)) return undefined
    // Its own time as well: the kernel's clock may have been wrong when it was written.
    if (row.seconds !== seconds || row.nanos !== nanos) return undefined
    return { path, mode, seconds, nanos, type: 'file', size, content: row.content }
  }

  #isSettled({ changed, changedNanos }: Listed): boolean {
    if (this.#seen === undefined) return false
    const [seconds, nanos] = this.#seen
    return changed < seconds || (changed === seconds && changedNanos < nanos)
  }
}

/**
 * Before when, by the kernel's clock, nothing has changed that is not in a snapshot. Without a battery that clock may
 * begin anew at 1970, and be set right later: what lies ahead of us says nothing.
 */
function seenBy(before: Manifest | undefined): Header['seen'] | undefined {
  const seen = before?.header.seen
  return seen !== undefined && seen[0] * 1000 <= Date.now() ? seen : undefined
}

// What rsync's --munge-links puts in front of a link's target.
const munge = '/rsyncd-munged/'
export const unmunged = (target: string): string =>
  target.startsWith(munge) ? target.slice(munge.length) : target
