import { renameSync } from 'node:fs'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolders, removeTree } from '../../../core/api.js'

const day = 86_400_000
/** Milliseconds after which the beginning of a build, that nobody asks for any more, goes. */
const kept = 7 * day

/** What a folder is called that is removed; no build is. */
const going = '.going-'

/** Where builds lie while they come, a folder each; what is there of one outlasts a restart. */
export class Downloads {
  readonly root: string

  constructor(root: string) {
    this.root = join(root, 'downloads')
    makeFolders(this.root)
  }

  /** The folder of a build, which is made if need be. */
  async folder(name: string): Promise<string> {
    const folder = join(this.root, name)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return folder
  }

  async remove(name: string): Promise<void> {
    await removeTree(join(this.root, name))
  }

  /**
   * Removes what earlier tries have left.
   * @param busy names that are being fetched
   * @param all what is young as well, for want of room
   * @returns the names
   */
  async sweep(busy: (name: string) => boolean, all = false): Promise<string[]> {
    const gone: string[] = []
    for (const name of await readdir(this.root)) {
      const age = Date.now() - (await stat(join(this.root, name))).mtimeMs
      // By a clock that was ahead it may come from the future.
      if (!all && age >= 0 && age < kept && !name.startsWith(going)) continue
      if (busy(name)) continue
      // At once, and not in its time: somebody may begin to fetch it while it is removed.
      if (!name.startsWith(going)) renameSync(join(this.root, name), join(this.root, going + name))
      await this.remove(name.startsWith(going) ? name : going + name)
      gone.push(name)
    }
    return gone
  }
}
