import type { StatsFs } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { diskFault, failingHint, systemCode } from '../../../core/api.js'

/**
 * Whether a file system has room for more, in bytes and in inodes, as a user that is not root sees it.
 * @param path anything on it
 * @param reservePercent what has to stay free
 * @returns what is wrong and what to do, for operators; undefined when there is room
 */
export async function roomIn(path: string, reservePercent: number): Promise<string | undefined> {
  try {
    return shortage(await statfs(path), path, reservePercent)
  } catch (error) {
    const remedy = diskFault(error) === 'failing' ? failingHint : 'mount it, or repair it'
    return `the disk of ${path} cannot be looked at (${systemCode(error) ?? error}): ${remedy}`
  }
}

/** What a file system lacks, from its figures. */
export function shortage(
  { bsize, blocks, bfree, bavail, files, ffree }: StatsFs,
  path: string,
  reservePercent: number,
): string | undefined {
  // As df counts: what only root may use is neither used nor free.
  const bytes = percent(bavail, blocks - bfree + bavail)
  if (bytes < reservePercent)
    return says(
      `${size(bavail * bsize)} (${round(bytes)} %)`,
      path,
      reservePercent,
      'remove what is not needed',
    )
  // btrfs and some network file systems make inodes as they need them, and report none.
  const inodes = files === 0 ? 100 : percent(ffree, files)
  if (inodes < reservePercent)
    return says(`${ffree} inodes (${round(inodes)} %)`, path, reservePercent, 'remove small files')
  return undefined
}

const says = (free: string, path: string, reserve: number, remedy: string) =>
  `only ${free} are free on the disk of ${path}, and ${reserve} % are to stay free: ${remedy}, or give it a larger disk`

const percent = (part: number, whole: number): number => (whole <= 0 ? 0 : (Math.max(0, part) / whole) * 100)

const round = (value: number): string => value.toFixed(1)

function size(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB']
  const unit = Math.min(units.length - 1, Math.floor(Math.log(Math.max(1, bytes)) / Math.log(1000)))
  return `${Number((bytes / 1000 ** unit).toFixed(1))} ${units[unit]}`
}
