import { SystemError } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
import type { PackedBuild, Progress } from '../public.js'
import { explained } from '../unpack/fault.js'
import type { Owners } from '../unpack/filter.js'
import type { Limits } from '../unpack/limits.js'
import { adopt, type Sent } from './adoption.js'
import { Draft, type Sealed } from './draft.js'
import { type Keeping, keepingIn } from './keeping.js'
import type { Layout } from './layout.js'
import type { Leftovers } from './leftovers.js'
import { make, type StockedBuild } from './making.js'

/** Where builds become whole, in the way that the disk here can keep them. What does not become one is cleared away. */
export class Workshop {
  readonly #layout: Layout
  readonly #limits: Limits
  readonly #leftovers: Leftovers
  readonly #keeping: Keeping

  static async open(layout: Layout, limits: Limits, leftovers: Leftovers): Promise<Workshop> {
    return new Workshop(layout, limits, leftovers, await keepingIn(layout.making))
  }

  private constructor(layout: Layout, limits: Limits, leftovers: Leftovers, keeping: Keeping) {
    this.#layout = layout
    this.#limits = limits
    this.#leftovers = leftovers
    this.#keeping = keeping
  }

  /** How owners are kept; undefined when they cannot be. */
  get owners(): Owners | undefined {
    return 'owners' in this.#keeping ? this.#keeping.owners : undefined
  }

  /** What an operator should know of that, in a sentence. */
  get note(): string | undefined {
    const keeping = this.#keeping
    if ('problem' in keeping) return `${keeping.problem.message}; ${keeping.problem.hint}`
    if (keeping.owners === 'attributes') return undefined
    return `${keeping.reason}, so fakeroot keeps the owners of files in builds`
  }

  /** Of a packed tree. @throws as make() does, and SystemError when no builds can be published here */
  unpack(packed: PackedBuild | StockedBuild, progress: Progress): Promise<Sealed> {
    return this.#begin(packed.name, progress.signal, (draft, owners) => {
      return make(draft, packed, { owners, limits: this.#limits }, progress)
    })
  }

  /** Of what another server sent. @throws as adopt() does, and SystemError when no such can be published here */
  adopt(sent: Sent, signal: AbortSignal): Promise<Sealed> {
    return this.#begin(sent.name, signal, (draft) => {
      const keeping = this.#keeping
      if (!('reason' in keeping)) return adopt(draft, sent, this.#limits, signal)
      const { reason, hint } = keeping
      throw new SystemError('UNAVAILABLE', `what other servers send cannot be published: ${reason}`, { hint })
    })
  }

  /** @param work makes a draft whole, and seals it */
  async #begin(
    name: string,
    signal: AbortSignal,
    work: (draft: Draft, owners: Owners) => Promise<BuildDoc>,
  ): Promise<Sealed> {
    if ('problem' in this.#keeping) throw this.#keeping.problem
    const { owners } = this.#keeping
    signal.throwIfAborted()
    let draft: Draft | undefined
    try {
      draft = await Draft.begin(this.#layout, name)
      return { draft, build: await work(draft, owners) }
    } catch (error) {
      // Waited for: whatever comes next may need the room.
      if (draft !== undefined) await this.#leftovers.add(draft.folder)
      throw signal.aborted ? signal.reason : explained(error, this.#layout.making)
    }
  }
}
