import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface Place {
  /** Bytes of the disk, in whole blocks; a file with several names counts once. */
  readonly bytes: number
  readonly inodes: number
}

/** What folders take of the disk, as du(1) counts it. */
export async function placeOf(...folders: readonly string[]): Promise<Place> {
  const seen = new Set<number>()
  let bytes = 0
  for (const folder of folders) {
    const names = await readdir(folder, { recursive: true })
    for (const name of ['', ...names]) {
      const { ino, blocks } = await lstat(join(folder, name))
      if (seen.has(ino)) continue
      seen.add(ino)
      bytes += blocks * 512
    }
  }
  return { bytes, inodes: seen.size }
}
