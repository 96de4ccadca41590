import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
import { buildName } from '../public.js'
import { isThere, move, writeWhole } from './disk.js'
import { type Layout, manifest, tree } from './layout.js'

const prefix = 'draft-'
/** Of what mkdtemp() puts behind a name, with the dash before it. */
const suffixLength = 7

/** A draft that is whole and on the disk, and what it was sealed with. */
export interface Sealed {
  readonly draft: Draft
  readonly build: BuildDoc
}

/**
 * A build on its way: a directory `draft-NAME-XXXXXX` below `making`, in which
 *
 *     unpacked/    is what came out of the tar
 *     notes        is whose each entry of it is
 *     state        is the same for fakeroot, where attributes cannot be had
 *     build/       is what becomes `pub/builds/NAME`; its `contents` is written last
 *     build.json   says that all of it is whole and on the disk, and what goes into the store: the draft is *sealed*
 *     arrival.json says the same of a build that came whole from elsewhere: it seals the draft once `build/` is there
 *     old-XXXX/    is what was `pub/builds/NAME` before
 *
 * A directory cannot replace another in one step, so there are two: the old one goes to `old-XXXX`, the new one to its
 * place. Whatever the moment at which the server is killed, the new one or the old one is somewhere as a whole, and the
 * next start finds out by what there is: a draft that is not sealed goes; of one that is sealed, place() does what has
 * not been done yet.
 */
export class Draft {
  readonly folder: string
  readonly #layout: Layout

  constructor(layout: Layout, folder: string) {
    this.#layout = layout
    this.folder = folder
  }

  static async begin(layout: Layout, name: string): Promise<Draft> {
    return new Draft(layout, await mkdtemp(join(layout.making, `${prefix}${name}-`)))
  }

  /** Those of a build. */
  static async of(layout: Layout, name: string): Promise<readonly Draft[]> {
    const folders = await readdir(layout.making)
    return folders
      .filter((folder) => folder.slice(0, -suffixLength) === `${prefix}${name}`)
      .map((folder) => new Draft(layout, join(layout.making, folder)))
  }

  /** Those that were sealed and have not been brought to their place, or not all that belongs to it was done. */
  static async sealed(layout: Layout): Promise<readonly Sealed[]> {
    const sealed: Sealed[] = []
    for (const name of await readdir(layout.making)) {
      if (!name.startsWith(prefix)) continue
      const draft = new Draft(layout, join(layout.making, name))
      const build = await draft.#sealed()
      if (build !== undefined) sealed.push({ draft, build })
    }
    return sealed
  }

  get unpacked(): string {
    return join(this.folder, 'unpacked')
  }

  get notes(): string {
    return join(this.folder, 'notes')
  }

  get state(): string {
    return join(this.folder, 'state')
  }

  get build(): string {
    return join(this.folder, 'build')
  }

  get manifest(): string {
    return join(this.build, manifest)
  }

  get tree(): string {
    return join(this.build, tree)
  }

  /** Says that all is whole and on the disk. From here on it will be published, now or at the next start. */
  async seal(build: BuildDoc): Promise<void> {
    await writeWhole(this.#seal, JSON.stringify(build))
  }

  /**
   * Takes in a directory that is whole and on the disk; that seals the draft. Whatever the moment at which the server is
   * killed, the directory is where it was, or in a draft that is sealed.
   */
  async takeIn(directory: string, build: BuildDoc): Promise<void> {
    await writeWhole(this.#arrival, JSON.stringify(build))
    try {
      await move(directory, this.build)
    } catch (error) {
      // It may have been moved, and the disk not have taken note of it.
      await rename(this.build, directory).catch(() => undefined)
      throw error
    }
  }

  /** All that was promised is done: what is left of it is of no use. */
  async unseal(): Promise<void> {
    for (const seal of [this.#arrival, this.#seal]) await rm(seal, { force: true })
  }

  /**
   * Brings a sealed draft to its place, or as much of it as is not there yet.
   * @param moved told at once where what was there has gone
   */
  async place(
    { name, fakeroot }: Pick<BuildDoc, 'name' | 'fakeroot'>,
    moved: (to: string) => Promise<void>,
  ): Promise<void> {
    // From here on the build is not always in the draft.
    if (await isThere(this.#arrival)) await move(this.#arrival, this.#seal)
    if (fakeroot !== undefined && (await isThere(this.state)))
      await move(this.state, this.#layout.state(fakeroot))
    if (!(await isThere(this.build))) return
    const place = this.#layout.build(name)
    if (await isThere(place)) {
      const old = join(this.folder, `old-${randomBytes(4).toString('hex')}`)
      await move(place, old, () => moved(old))
    }
    await move(this.build, place)
  }

  /** What it was sealed with; undefined when it was not. */
  async #sealed(): Promise<BuildDoc | undefined> {
    const hasArrived = (await isThere(this.#arrival)) && (await isThere(this.build))
    try {
      const build: unknown = JSON.parse(await readFile(hasArrived ? this.#arrival : this.#seal, 'utf8'))
      return isBuild(build) ? build : undefined
    } catch (error) {
      if (error instanceof SyntaxError || systemCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  get #seal(): string {
    return join(this.folder, 'build.json')
  }

  get #arrival(): string {
    return join(this.folder, 'arrival.json')
  }
}

const isBuild = (value: unknown): value is BuildDoc =>
  typeof value === 'object' &&
  value !== null &&
  'name' in value &&
  typeof value.name === 'string' &&
  buildName.test(value.name)
