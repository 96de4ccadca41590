import { rm } from 'node:fs/promises'
import type { Logger } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
import type { Modules } from '../public.js'
import type { Catalogue } from './catalogue.js'
import type { Layout } from './layout.js'
import { Signposts } from './signposts.js'
import { joinStates } from './states.js'
import { Turns } from './turns.js'

/** The module that holds all builds. */
const everything = 'builds'
const moduleOf = (name: string): string => `build-${name}`

/** The modules by which laptops reach builds. */
export class Publication {
  readonly #layout: Layout
  readonly #catalogue: Catalogue
  readonly #modules: Pick<Modules, 'publish' | 'withdraw' | 'active'>
  readonly #signposts: Signposts
  readonly #turns = new Turns()

  static async open(
    layout: Layout,
    catalogue: Catalogue,
    parts: { readonly modules: Pick<Modules, 'publish' | 'withdraw' | 'active'>; readonly log: Logger },
  ): Promise<Publication> {
    return new Publication(layout, catalogue, parts.modules, await Signposts.open(layout, parts.log))
  }

  private constructor(
    layout: Layout,
    catalogue: Catalogue,
    modules: Pick<Modules, 'publish' | 'withdraw' | 'active'>,
    signposts: Signposts,
  ) {
    this.#layout = layout
    this.#catalogue = catalogue
    this.#modules = modules
    this.#signposts = signposts
  }

  /** Serves what is in a build's place now. */
  async begin({ name, fakeroot }: BuildDoc): Promise<void> {
    const owners = fakeroot === undefined ? 'attributes' : { fakeroot: this.#layout.state(fakeroot) }
    const path = await this.#signposts.put(name)
    await this.#modules.publish({ name: moduleOf(name), path, comment: `build ${name}`, owners })
  }

  async end(name: string): Promise<void> {
    await this.#modules.withdraw(moduleOf(name))
  }

  /** What was in a build's place is elsewhere now: who reads it, reads on there. */
  moved(name: string, to: string): Promise<void> {
    return this.#signposts.turn(name, to)
  }

  /** Serves all builds together, as they are in the catalogue now. @param gone a build that is not among them any more */
  refresh(gone?: BuildDoc): Promise<void> {
    return this.#turns.take(everything, async () => {
      const fakeroot = await joinStates(this.#layout, this.#catalogue.list())
      const owners = fakeroot === undefined ? 'attributes' : { fakeroot }
      const path = this.#layout.builds
      await this.#modules.publish({ name: everything, path, comment: 'all builds', owners })
      if (gone?.fakeroot !== undefined) await rm(this.#layout.state(gone.fakeroot), { force: true })
    })
  }

  /** Whether somebody is reading a build, or may be. */
  isRead(name: string): boolean {
    return this.#modules.active(moduleOf(name)) + this.#modules.active(everything) > 0
  }
}
