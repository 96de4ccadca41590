import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fsyncDir } from '../../../core/api.js'
import { explained } from '../unpack/fault.js'

const prefix = '.stick-'
/** Of directories that this process has made: all others are a crash's. */
const ours = `${prefix}${randomBytes(4).toString('hex')}-`

/**
 * A directory in `rsync-packed`, which nobody looks into, for the files of a build until all of them are there: a tree is
 * not to lie beside the manifest of another.
 */
export class Staging {
  readonly #folder: string
  readonly #path: string

  private constructor(folder: string, path: string) {
    this.#folder = folder
    this.#path = path
  }

  /** @throws SystemError NO_SPACE, NOT_WRITABLE */
  static async begin(folder: string): Promise<Staging> {
    const path = await mkdtemp(join(folder, ours)).catch((error) => {
      throw explained(error, folder)
    })
    return new Staging(folder, path)
  }

  /** Where a file goes that comes into `rsync-packed` under this name. */
  at(name: string): string {
    return join(this.#path, name)
  }

  /**
   * Has the files take their places, in this order, and those go that no longer belong to them.
   * @throws SystemError NO_SPACE, NOT_WRITABLE
   */
  async place(names: readonly string[], gone: readonly string[]): Promise<void> {
    try {
      for (const name of gone) await rm(join(this.#folder, name), { force: true })
      for (const name of names) await rename(this.at(name), join(this.#folder, name))
      await fsyncDir(this.#folder)
    } catch (error) {
      throw explained(error, this.#folder)
    }
  }

  /** Removes it, with what is still in it. */
  async end(): Promise<void> {
    await rm(this.#path, { recursive: true, force: true })
  }
}

/** Removes what crashes have left of such directories. */
export async function clearStagings(folder: string): Promise<void> {
  const names = await readdir(folder)
  for (const name of names.filter((one) => one.startsWith(prefix) && !one.startsWith(ours)))
    await rm(join(folder, name), { recursive: true, force: true })
}
