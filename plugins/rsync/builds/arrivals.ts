import { chmod, mkdir, readdir, rename, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { RequestError, removeTree } from '../../../core/api.js'
import { type Arrival, type Arrivals, buildName } from '../public.js'
import { shown } from '../unpack/refusal.js'
import { isThere } from './disk.js'
import type { Layout } from './layout.js'

/** Builds that come from other servers, in a directory each. */
export class Incoming implements Arrivals {
  readonly #layout: Layout

  constructor(layout: Layout) {
    this.#layout = layout
  }

  async list(): Promise<readonly Arrival[]> {
    const names = (await readdir(this.#layout.arriving)).filter((name) => buildName.test(name))
    const found: Arrival[] = []
    for (const name of names) {
      // One that is adopted meanwhile has gone. rsync sets the times that can be set.
      const about = await stat(this.#place(name)).catch(() => undefined)
      if (about !== undefined) found.push({ name, at: Math.floor(about.ctimeMs) })
    }
    return found
  }

  async folder(name: string): Promise<string> {
    const folder = this.#place(name)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
    return folder
  }

  /** By a rename first: it may be large, and be begun anew while it goes. */
  async drop(name: string): Promise<void> {
    const folder = this.#place(name)
    if (!(await isThere(folder))) return
    const gone = join(this.#layout.making, `dropped-${basename(folder)}-${process.hrtime.bigint()}`)
    await rename(folder, gone)
    await removeTree(gone)
  }

  #place(name: string): string {
    if (buildName.test(name)) return join(this.#layout.arriving, name)
    throw new RequestError('REQUEST_INVALID', `a build cannot be called ${shown(name)}`)
  }
}
