import { renameSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, makeFolderSync, removeTree } from '../../../core/api.js'
import type { Arrivals } from '../../rsync/public.js'
import { sizeIn } from '../download/partial.js'
import type { Form } from '../lru/room.js'

const day = 86_400_000
/** Milliseconds after which the beginning of a build, that nobody asks for any more, goes. */
const kept = 7 * day

/** What a folder is called that is removed; no build is. */
const going = '.going-'

/** What comes from the future is young: after a power cut many a clock is behind. */
const isOld = (at: number): boolean => Date.now() - at >= kept

/**
 * What has come of builds that are not whole yet; it outlasts a restart. Packed ones have a folder each here; those that
 * come file by file lie where builds are.
 */
export class Downloads {
  readonly root: string
  readonly #arrivals: Arrivals
  #sweeping: Promise<unknown> = Promise.resolve()

  constructor(root: string, arrivals: Arrivals) {
    this.root = join(root, 'downloads')
    this.#arrivals = arrivals
    makeFolderSync(this.root)
  }

  /** The folder of a build, which is made if need be. */
  async folder(name: string): Promise<string> {
    const folder = join(this.root, name)
    await makeFolder(folder)
    return folder
  }

  /** Whether there is something of a build to go on with. */
  async has(name: string): Promise<boolean> {
    if ((await sizeIn(join(this.root, name))) > 0) return true
    return (await this.#arrivals.list()).some((arrival) => arrival.name === name)
  }

  async remove(name: string, forms: readonly Form[] = ['packed', 'files']): Promise<void> {
    if (forms.includes('packed')) await removeTree(join(this.root, name))
    if (forms.includes('files')) await this.#arrivals.drop(name)
  }

  /**
   * Removes what earlier tries have left.
   * @param busy names that are being fetched
   * @param all what is young as well, for want of room
   * @returns the names
   */
  sweep(busy: (name: string) => boolean, all = false): Promise<string[]> {
    const sweeping = this.#sweeping.then(() => this.#sweep(busy, all))
    this.#sweeping = sweeping.catch(() => undefined)
    return sweeping
  }

  async #sweep(busy: (name: string) => boolean, all: boolean): Promise<string[]> {
    const gone: string[] = []
    for (const name of await readdir(this.root)) {
      const path = join(this.root, name)
      // One whose build has just come has gone.
      const about = await stat(path).catch(() => undefined)
      if (about === undefined || busy(name)) continue
      if (name.startsWith(going)) await removeTree(path)
      else if (all || isOld(about.mtimeMs)) {
        // At once, and not in its time: somebody may begin to fetch it while it is removed.
        renameSync(path, join(this.root, going + name))
        await removeTree(join(this.root, going + name))
      } else continue
      gone.push(name)
    }
    for (const { name, at } of await this.#arrivals.list()) {
      if (busy(name) || !(all || isOld(at))) continue
      await this.#arrivals.drop(name)
      gone.push(name)
    }
    return gone
  }
}
