/**
 * What a file takes of a disk, as ext4 with its usual blocks counts: the same figure on every file system, also while
 * blocks are not given out yet, and one that a laptop cannot make small by many names, links, or empty files.
 */
const block = 4096
/** Bytes of an inode of ext4. */
const inode = 256
/** Of an entry in a directory, besides the name. */
const entry = 8
const longestName = 255
/** A link of fewer bytes stands in its inode. */
const longestFastLink = 59

export type Kind = 'file' | 'directory' | 'link' | 'other'

/**
 * Bytes of the disk.
 * @param size of the file, or of a link's target
 * @param name bytes of the name; a long one is assumed when it is not known
 */
export function weightOf(kind: Kind, size: number, name: number = longestName): number {
  return inode + entry + name + contentOf(kind, size)
}

/** Bytes of the disk that a file's content takes. */
export const blocksOf = (size: number): number => Math.ceil(size / block) * block

function contentOf(kind: Kind, size: number): number {
  if (kind === 'file') return blocksOf(size)
  if (kind === 'directory') return block
  return kind === 'link' && size > longestFastLink ? blocksOf(size) : 0
}
