import { mkdir } from 'node:fs/promises'
import { unpack } from '../../../core/api.js'
import type { LinkRow, Row, Tree } from '../tree.js'
import type { Progress } from './progress.js'
import { tarOf } from './tar.js'

/** What a link becomes; undefined leaves it out. */
export type Relink = (row: LinkRow) => string | undefined

/**
 * Writes a tree into a directory, which is made and must be nobody else's.
 * @throws SystemError DAMAGED, NO_SPACE, NOT_WRITABLE
 */
export async function unfold(tree: Tree, to: string, relink: Relink, progress?: Progress): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  await unpack(folded(tree, relink, progress), to)
}

/** A tree as a tar stream that is unpacked in the tree's own top, which is a member too: it has a mode and a time. */
export function folded(tree: Tree, relink: Relink, progress?: Progress): AsyncGenerator<Buffer> {
  return tarOf(tree, (row: Row): Row | undefined => {
    progress?.step(row.type === 'file' ? row.size : 0)
    if (row.type !== 'link') return row
    const target = relink(row)
    return target === undefined ? undefined : { ...row, target }
  })
}
