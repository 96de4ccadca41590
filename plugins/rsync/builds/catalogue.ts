import { type Collection, each, StoreError } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'

/** The documents of builds: in the store, and at hand. */
export class Catalogue {
  readonly #collection: Collection<BuildDoc>
  readonly #builds = new Map<string, BuildDoc>()
  readonly #missing = new Map<string, BuildDoc>()
  /** Builds that are gone, and still in the store: on a full disk it takes no change. */
  readonly #owed = new Set<string>()
  #settling: Promise<void> = Promise.resolve()

  static async open(collection: Collection<BuildDoc>): Promise<Catalogue> {
    const catalogue = new Catalogue(collection)
    for await (const { rev: _, ...build } of each(collection)) catalogue.#builds.set(build.name, build)
    return catalogue
  }

  private constructor(collection: Collection<BuildDoc>) {
    this.#collection = collection
  }

  /** By name. */
  list(): readonly BuildDoc[] {
    return byName(this.#builds)
  }

  /** By name; what this start did not find on the disk. */
  missing(): readonly BuildDoc[] {
    return byName(this.#missing)
  }

  get(name: string): BuildDoc | undefined {
    return this.#builds.get(name)
  }

  /** A build that is here, or is missing. */
  known(name: string): BuildDoc | undefined {
    return this.#builds.get(name) ?? this.#missing.get(name)
  }

  async put(build: BuildDoc): Promise<void> {
    this.#owed.delete(build.name)
    await this.settle()
    const known = await this.#collection.get(build.name)
    if (known === undefined) await this.#collection.insert(build)
    else {
      const none = { packedAs: undefined, seen: undefined, fakeroot: undefined }
      await this.#collection.update(build.name, known.rev, { ...none, ...build })
    }
    this.#missing.delete(build.name)
    this.#builds.set(build.name, build)
  }

  /** A build is not on the disk, until a start finds it there: the disk may not be mounted now. */
  miss(build: BuildDoc): void {
    this.#builds.delete(build.name)
    this.#missing.set(build.name, build)
  }

  /** A build has gone from the disk. What a full one does not let the store forget now, it forgets later. */
  async remove(name: string): Promise<void> {
    this.#drop(name)
    this.#owed.add(name)
    await this.settle()
  }

  /**
   * A build that is not on the disk is not waited for any more. Nothing but the store says so: where that takes no
   * change, nothing is forgotten.
   * @throws StoreError
   */
  async forget(name: string): Promise<void> {
    await this.#collection.remove(name)
    this.#drop(name)
  }

  /** Has the store forget what has gone, as far as it can by now. */
  settle(): Promise<void> {
    const settling = this.#settling.then(() => this.#settle())
    this.#settling = settling.catch(() => undefined)
    return settling
  }

  async #settle(): Promise<void> {
    for (const name of [...this.#owed]) {
      // It may have come anew while another was forgotten.
      if (!this.#owed.has(name)) continue
      try {
        await this.#collection.remove(name)
      } catch (error) {
        if (error instanceof StoreError) return
        throw error
      }
      this.#owed.delete(name)
    }
  }

  #drop(name: string): void {
    this.#builds.delete(name)
    this.#missing.delete(name)
  }
}

const byName = (builds: ReadonlyMap<string, BuildDoc>): readonly BuildDoc[] =>
  [...builds.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
