import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { removeTree, SugarError } from '../../../core/api.js'
import { below } from '../journal/path.js'
import type { FileRow, Row } from '../tree.js'
import { choose } from './choice.js'
import type { Layout } from './layout.js'
import { type Listed, list } from './listing.js'
import { Objects } from './objects.js'
import type { Progress } from './progress.js'
import { digestOf, reading } from './readable.js'
import { Shelf } from './shelf.js'
import { SnapshotTree } from './snapshot-tree.js'
import { unfold } from './unfold.js'

/** How a learner's newest snapshot came back. */
export interface Drilled {
  readonly uid: string
  readonly snapshot: string
  readonly files: number
  /** What is not as it was; nothing, when all is well. */
  readonly wrong: readonly string[]
}

/** Wrong files that are named; more say nothing more. */
const named = 20

/** Restores each learner's newest snapshot into the scratch folder, and compares what came out with what went in. */
export async function drill(layout: Layout, uids: readonly string[], progress: Progress): Promise<Drilled[]> {
  const results: Drilled[] = []
  for (const uid of uids) results.push(await drillOne(layout, uid, progress))
  return results
}

async function drillOne(layout: Layout, uid: string, progress: Progress): Promise<Drilled> {
  const shelf = new Shelf(layout, uid)
  const snapshot = choose(shelf, 'latest')
  const folder = join(layout.scratch, `drill-${uid}`)
  try {
    const tree = new SnapshotTree(new Objects(layout.objects), shelf.read(snapshot), '')
    await unfold(tree, join(folder, 'all'), ({ target }) => target, progress)
    const found = new Map(list(folder, { all: 'all' }).map((one) => [one.path.slice('all/'.length), one]))
    const wrong: string[] = []
    let files = 0
    for (const row of tree.rows()) {
      const why = differenceOf(join(folder, 'all'), row, found.get(row.path))
      if (why !== undefined && wrong.length < named) wrong.push(`${row.path}: ${why}`)
      if (row.type === 'file') files += 1
      progress.step(0)
    }
    return { uid, snapshot, files, wrong }
  } catch (error) {
    // A full disk, or that somebody gave it up, says nothing of the snapshot.
    if (!(error instanceof SugarError) || ['NO_SPACE', 'UNAVAILABLE'].includes(error.code)) throw error
    return { uid, snapshot, files: 0, wrong: [error.message] }
  } finally {
    await removeTree(folder)
  }
}

function differenceOf(folder: string, row: Row, here: Listed | undefined): string | undefined {
  if (here === undefined) return 'is missing'
  if (here.type !== row.type) return `is a ${here.type}`
  if (row.type === 'link') return here.target === row.target ? undefined : 'leads elsewhere'
  if (here.mode !== row.mode) return 'has other permissions'
  if (here.seconds !== row.seconds || here.nanos !== row.nanos) return 'has another time'
  if (row.type === 'directory') return undefined
  return reading(below(folder, row.path), digestOf).name === digestIn(row) ? undefined : 'has another content'
}

const digestIn = ({ content }: FileRow): string =>
  typeof content === 'string' ? content : createHash('sha256').update(content).digest('hex')
