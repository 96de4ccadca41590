import { statfsSync } from 'node:fs'
import { stat, statfs } from 'node:fs/promises'

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

  async isThatOf({ folder }: Disk): Promise<boolean> {
    const [one, other] = await Promise.all([stat(this.folder), stat(folder)])
    return one.dev === other.dev
  }
}
