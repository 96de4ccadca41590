import { rm } from 'node:fs/promises'
import { asError, type Logger } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
import type { Module, Modules } from '../public.js'
import type { Catalogue } from './catalogue.js'
import type { Layout } from './layout.js'
import { Signposts } from './signposts.js'
import { joinStates, tidyStates } from './states.js'
import { Turns } from './turns.js'

/** The module that holds all builds. */
const everything = 'builds'
const moduleOf = (name: string): string => `build-${name}`

export interface PublicationParts {
  readonly modules: Pick<Modules, 'publish' | 'withdraw' | 'active'>
  readonly log: Logger
}

/** The modules by which laptops reach builds. */
export class Publication {
  readonly #layout: Layout
  readonly #catalogue: Catalogue
  readonly #modules: Pick<Modules, 'publish' | 'withdraw' | 'active'>
  readonly #signposts: Signposts
  readonly #log: Logger
  readonly #turns = new Turns()
  /** Why builds are not served all together, when they are not. */
  #problem: string | undefined
  #areStatesTidy = true

  static async open(layout: Layout, catalogue: Catalogue, parts: PublicationParts): Promise<Publication> {
    return new Publication(layout, catalogue, parts, await Signposts.open(layout, parts.log))
  }

  private constructor(
    layout: Layout,
    catalogue: Catalogue,
    { modules, log }: PublicationParts,
    signposts: Signposts,
  ) {
    this.#log = log
    this.#layout = layout
    this.#catalogue = catalogue
    this.#modules = modules
    this.#signposts = signposts
  }

  /** A sentence for an operator. */
  get problem(): string | undefined {
    return this.#problem
  }

  /**
   * Serves what is in the catalogue when the server starts.
   * @param later builds that may be served by a later start: what fakeroot knows of them stays
   */
  async start(later: readonly BuildDoc[]): Promise<void> {
    const builds = this.#catalogue.list()
    try {
      await tidyStates(this.#layout, [...builds, ...later])
    } catch (err) {
      this.#areStatesTidy = false
      this.#log.error({ err }, 'builds whose owners fakeroot keeps are not served until the next start')
    }
    for (const build of builds)
      if (this.#areStatesTidy || build.fakeroot === undefined) await this.begin(build)
    await this.refresh()
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
      try {
        const owners = await this.#owners()
        const path = this.#layout.builds
        await this.#modules.publish({ name: everything, path, comment: 'all builds', owners })
        this.#problem = undefined
      } catch (error) {
        // Laptops would get files of other owners, and of modes that nobody gave them.
        await this.#modules.withdraw(everything)
        this.#problem = `builds are served one by one only, not as "${everything}": ${asError(error).message}`
        this.#log.warn(this.#problem)
      }
      if (gone?.fakeroot !== undefined) await rm(this.#layout.state(gone.fakeroot), { force: true })
    })
  }

  async #owners(): Promise<Module['owners']> {
    const builds = this.#catalogue.list()
    const inStates = builds.filter(({ fakeroot }) => fakeroot !== undefined)
    if (inStates.length > 0 && inStates.length < builds.length) {
      const [one] = inStates
      throw new Error(
        `fakeroot keeps the owners of some, such as ${one?.name}, and attributes those of others; publish all anew in one way, with "sugar-server rsync refresh --force" or by fetching them again`,
      )
    }
    if (!this.#areStatesTidy)
      throw new Error('their states of fakeroot could not be written when the server started')
    const fakeroot = await joinStates(this.#layout, builds)
    return fakeroot === undefined ? 'attributes' : { fakeroot }
  }

  /** Whether somebody is reading a build, or may be. */
  isRead(name: string): boolean {
    return this.#modules.active(moduleOf(name)) + this.#modules.active(everything) > 0
  }
}
