import { type Collection, each } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'

/** The documents of builds: in the store, and at hand. */
export class Catalogue {
  readonly #collection: Collection<BuildDoc>
  readonly #builds = new Map<string, BuildDoc>()

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
    return [...this.#builds.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get(name: string): BuildDoc | undefined {
    return this.#builds.get(name)
  }

  async put(build: BuildDoc): Promise<void> {
    const known = await this.#collection.get(build.name)
    if (known === undefined) await this.#collection.insert(build)
    else {
      const none = { packedAs: undefined, seen: undefined, fakeroot: undefined }
      await this.#collection.update(build.name, known.rev, { ...none, ...build })
    }
    this.#builds.set(build.name, build)
  }

  /** Leaves out a build that is not on the disk until a start finds it there: the disk may not be mounted now. */
  leaveOut(name: string): void {
    this.#builds.delete(name)
  }

  async remove(name: string): Promise<void> {
    this.#builds.delete(name)
    await this.#collection.remove(name)
  }
}
