import { randomBytes } from 'node:crypto'
import { chmod, lstat, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, removeTree, systemCode } from '../../../core/api.js'
import { type Arrival, type Arrivals, buildName } from '../public.js'
import { explained } from '../unpack/fault.js'
import type { Layout } from './layout.js'
import { checkName } from './naming.js'

/** Builds that come from other servers, in a directory each. */
export class Incoming implements Arrivals {
  readonly #layout: Layout

  readonly #check: () => void

  /** @param check throws when the directory of the builds is not there */
  constructor(layout: Layout, check: () => void = () => undefined) {
    this.#layout = layout
    this.#check = check
  }

  async list(): Promise<readonly Arrival[]> {
    const names = (await readdir(this.#layout.arriving)).filter((name) => buildName.test(name))
    const found: Arrival[] = []
    for (const name of names) {
      // One that is adopted meanwhile has gone. rsync sets the times that can be set.
      const about = await lstat(this.#place(name)).catch(() => undefined)
      if (about?.isDirectory()) found.push({ name, at: Math.floor(about.ctimeMs) })
    }
    return found
  }

  async folder(name: string): Promise<string> {
    const folder = this.#place(name)
    this.#check()
    try {
      await makeFolder(folder)
      await chmod(folder, 0o700)
    } catch (error) {
      throw explained(error, folder)
    }
    return folder
  }

  /** By a rename first: it may be large, and be begun anew while it goes. What a crash leaves goes at the next start. */
  async drop(name: string): Promise<void> {
    const folder = this.#place(name)
    this.#check()
    const gone = join(this.#layout.making, `dropped-${randomBytes(8).toString('hex')}`)
    try {
      await rename(folder, gone)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw explained(error, folder)
    }
    await removeTree(gone)
  }

  #place(name: string): string {
    checkName(name)
    return join(this.#layout.arriving, name)
  }
}
