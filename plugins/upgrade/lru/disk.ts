import { statfsSync } from 'node:fs'
import { open, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { fullDisk } from '../full-disk.js'

/** Bytes that a disk must take not to be full. */
const least = Buffer.alloc(1 << 20, 1)

/** A file system, by a directory on it. */
export class Disk {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  /** Bytes that a user who is not root can write. */
  async free(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder)
    return bavail * bsize
  }

  /** The same, for those who cannot wait. */
  freeNow(): number {
    const { bavail, bsize } = statfsSync(this.folder)
    return bavail * bsize
  }

  /** Whether it takes no more. In its numbers stand neither shares of users nor how many files there may be. */
  async isFull(): Promise<boolean> {
    const path = join(this.folder, `probe-${process.hrtime.bigint()}`)
    try {
      const file = await open(path, 'wx', 0o600)
      // Without a name nothing is left of it, however this server ends.
      try {
        await rm(path)
        await file.writeFile(least)
        await file.datasync()
      } finally {
        await file.close()
      }
      return false
    } catch (error) {
      return fullDisk(error) !== undefined
    }
  }

  async isThatOf({ folder }: Disk): Promise<boolean> {
    const [one, other] = await Promise.all([stat(this.folder), stat(folder)])
    return one.dev === other.dev
  }
}
