import { statfs } from 'node:fs/promises'
import type { Size } from './size.js'

/** What stays free, so that what is under way can end and things be removed: bytes and inodes, or a share of a small disk. */
const leastFree = 32 << 20
const leastNodes = 500
const leastShare = 0.02

/**
 * Whether a disk has room for something, and for what must stay free.
 * @param folder on that disk
 */
export async function hasRoom(
  folder: string,
  { bytes, files }: Size = { bytes: 0, files: 0 },
): Promise<boolean> {
  const { blocks, bavail, bsize, files: nodes, ffree } = await statfs(folder)
  // Each file ends within a block.
  const taken = bytes + files * bsize
  const isFull = bavail * bsize - taken < Math.min(leastFree, leastShare * blocks * bsize)
  return !isFull && ffree - files >= Math.min(leastNodes, leastShare * nodes)
}
