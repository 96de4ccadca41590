import { randomBytes } from 'node:crypto'
import { mkdtemp, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Collection, type Logger, RequestError, SystemError } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
import type { Outcome } from '../packed/outcome.js'
import { type Asked, Refresh } from '../packed/refresh.js'
import {
  type Build,
  type Builds,
  buildName,
  type Keeper,
  type Modules,
  type PackedBuild,
  type Progress,
} from '../public.js'
import { explained } from '../unpack/fault.js'
import type { Owners } from '../unpack/filter.js'
import { type Limits, limitsOf } from '../unpack/limits.js'
import { giveLook } from '../unpack/own.js'
import { shown } from '../unpack/refusal.js'
import { Incoming } from './arrivals.js'
import { Catalogue } from './catalogue.js'
import { flushTree, makeFolder, move } from './disk.js'
import { Draft } from './draft.js'
import { examine } from './foreign.js'
import { type Keeping, keepingIn } from './keeping.js'
import { Layout } from './layout.js'
import { Leftovers } from './leftovers.js'
import { giveLooks, make, type StockedBuild } from './making.js'
import { digestOf } from './manifest.js'
import { Publication } from './publication.js'
import { compare, recover } from './recovery.js'
import { tidyStates } from './states.js'
import { Turns } from './turns.js'

export interface ShelfParts {
  /** `rsync-root`; it is there. */
  readonly root: string
  /** `rsync-packed`. */
  readonly packed: string
  readonly builds: Collection<BuildDoc>
  readonly modules: Pick<Modules, 'publish' | 'withdraw' | 'active'>
  /** Bytes of the disk that a tree may take: `rsync-tree-limit`. */
  readonly treeLimit: number
  readonly log: Logger
}

/** The turn of refreshes; no build is called so. */
const refreshing = ':refresh'

/** Published builds. What changes one takes its turn: about each name, one thing is done at a time. */
export class Shelf implements Builds {
  readonly arrivals: Incoming
  readonly #parts: ShelfParts
  readonly #layout: Layout
  readonly #limits: Limits
  readonly #catalogue: Catalogue
  readonly #keeping: Keeping
  readonly #leftovers: Leftovers
  readonly #publication: Publication
  readonly #turns = new Turns()
  readonly #keepers = new Set<Keeper>()
  readonly #closing = new AbortController()
  #strangers: readonly string[] = []

  /** Finishes or clears away what was under way when the server ended last, and publishes what is complete. */
  static async open(parts: ShelfParts): Promise<Shelf> {
    const layout = new Layout(parts.root)
    const folders = [layout.builds, layout.making, layout.arriving, layout.owners]
    // Elsewhere it may be on a disk that is not mounted now.
    if (parts.packed.startsWith(`${parts.root}/`)) folders.push(parts.packed)
    for (const folder of folders) await makeFolder(folder)
    const catalogue = await Catalogue.open(parts.builds)
    const publication = await Publication.open(layout, catalogue, parts)
    const shelf = new Shelf(parts, layout, catalogue, publication, await keepingIn(layout.making))
    await shelf.#begin()
    return shelf
  }

  private constructor(
    parts: ShelfParts,
    layout: Layout,
    catalogue: Catalogue,
    publication: Publication,
    keeping: Keeping,
  ) {
    this.arrivals = new Incoming(layout)
    this.#parts = parts
    this.#publication = publication
    this.#layout = layout
    this.#limits = limitsOf(parts.treeLimit)
    this.#catalogue = catalogue
    this.#keeping = keeping
    this.#leftovers = new Leftovers(parts.log)
  }

  /** Gives up what is under way. What is published stays as it is. */
  async close(): Promise<void> {
    this.#closing.abort(new RequestError('UNAVAILABLE', 'the server is stopping'))
    await this.#turns.end()
    await this.#leftovers.close()
  }

  /** `rsync-packed`. */
  get packed(): string {
    return this.#parts.packed
  }

  /** What an operator should know, one sentence each. */
  notes(): readonly string[] {
    const keeping = this.#keeping
    if ('problem' in keeping)
      return [`${keeping.problem.message}; ${keeping.problem.hint}`, ...this.#strangers]
    const isFallback = keeping.owners === 'fakeroot'
    const how = 'the disk of rsync-root keeps no attributes, so fakeroot keeps the owners of files in builds'
    return [...(isFallback ? [how] : []), ...this.#strangers]
  }

  list(): readonly Build[] {
    return this.#catalogue.list().map((build) => this.#buildOf(build))
  }

  get(name: string): Build | undefined {
    const build = this.#catalogue.get(name)
    return build && this.#buildOf(build)
  }

  install(packed: PackedBuild | StockedBuild, progress: Progress): Promise<Build> {
    return this.#publishDraft(packed.name, progress.signal, (draft, signal) => {
      const note = (line: string) => progress.note(line)
      return make(draft, packed, { owners: this.#owners(), limits: this.#limits }, { note, signal })
    })
  }

  adopt(name: string, directory: string, from: string): Promise<Build> {
    return this.#publishDraft(name, undefined, async (draft, signal) => {
      if (this.#owners() === 'fakeroot') {
        throw new SystemError('UNAVAILABLE', 'the disk of rsync-root keeps no attributes of files', {
          hint: 'have rsync-root on ext4, xfs or btrfs',
        })
      }
      const sum = await examine(directory, this.#limits, signal)
      await rename(directory, draft.build)
      await giveLooks(draft, signal)
      const digest = await digestOf(draft.manifest)
      await flushTree(draft.folder, signal)
      const build = { name, digest, ...sum, publishedAt: new Date().toISOString(), from }
      await draft.seal(build)
      return build
    })
  }

  scratch(): Promise<string> {
    return mkdtemp(join(this.#layout.making, 'scratch-'))
  }

  keep(keeper: Keeper): () => void {
    this.#keepers.add(keeper)
    return () => this.#keepers.delete(keeper)
  }

  /** Removes a build for an operator. @throws RequestError REFUSED when one of those who keep builds says why not */
  async withdraw(name: string): Promise<boolean> {
    for (const keeper of this.#keepers) {
      const why = await keeper(name)
      if (why !== undefined) throw new RequestError('REFUSED', `build-${name} stays: ${why}`)
    }
    return await this.remove(name, 'withdrawn by an operator')
  }

  remove(name: string, reason: string): Promise<boolean> {
    return this.#turns.take(name, async () => {
      const build = this.#catalogue.get(name)
      if (build === undefined) return false
      await this.#publication.end(name)
      // Nothing is made for it: it must go on a disk that is full.
      const gone = join(this.#layout.making, `gone-${randomBytes(8).toString('hex')}`)
      try {
        await move(this.#layout.build(name), gone, () => this.#publication.moved(name, gone))
      } catch (error) {
        await this.#publication.begin(build)
        throw explained(error, this.#layout.builds)
      }
      void this.#leftovers.add(gone, () => this.#publication.isRead(name))
      await this.#catalogue.remove(name)
      await this.#publication.refresh(build)
      this.#parts.log.info({ build: name, reason }, 'a build was removed')
      return true
    })
  }

  /**
   * Publishes what is in `rsync-packed`, and withdraws what came from there and is there no longer. One comes after the
   * other.
   * @throws RequestError NOT_FOUND when `rsync-packed`, or the build that is asked for, is not there
   */
  refresh(asked: Asked, progress: Progress): Promise<readonly Outcome[]> {
    if (this.#turns.has(refreshing)) progress.note('another refresh is under way; this one comes after it')
    return this.#turns.take(refreshing, () => {
      const signal = this.#until(progress.signal)
      signal.throwIfAborted()
      const shelf = {
        builds: () => this.#catalogue.list(),
        path: (name: string) => this.#layout.build(name),
        install: (build: StockedBuild, given: Progress) => this.install(build, given),
        remove: (name: string, reason: string) => this.remove(name, reason),
        update: (build: BuildDoc) => this.#turns.take(build.name, () => this.#update(build)),
      }
      const note = (line: string) => progress.note(line)
      return new Refresh(this.#parts.packed, shelf, { note, signal }, this.#parts.log).run(asked)
    })
  }

  /** Refreshes when a server has started: behind everybody's back, into the log. */
  refreshAtStart(): void {
    const { log } = this.#parts
    const progress = { note: (line: string) => log.info(line), signal: this.#closing.signal }
    this.refresh({ force: false }, progress).catch((err: unknown) => {
      if (!this.#closing.signal.aborted) log.warn({ err }, 'packed builds cannot be looked through')
    })
  }

  async #begin(): Promise<void> {
    const { log } = this.#parts
    const { useless, unfinished } = await recover(this.#layout, this.#catalogue, log)
    this.#strangers = await compare(this.#layout, this.#catalogue, log)
    await tidyStates(this.#layout, [...this.#catalogue.list(), ...unfinished])
    if ('owners' in this.#keeping && this.#keeping.owners === 'attributes')
      await giveLook(this.#layout.builds, 'directory', this.#closing.signal)
    for (const build of this.#catalogue.list()) await this.#publication.begin(build)
    await this.#publication.refresh()
    for (const path of useless) void this.#leftovers.add(path)
    for (const note of this.notes()) log.warn(note)
  }

  /** @param work makes a draft whole, and seals it */
  async #publishDraft(
    name: string,
    given: AbortSignal | undefined,
    work: (draft: Draft, signal: AbortSignal) => Promise<BuildDoc>,
  ): Promise<Build> {
    if (!buildName.test(name)) {
      throw new RequestError('REQUEST_INVALID', `a build cannot be called ${shown(name)}`, {
        hint: 'use 1 to 64 letters, digits, and . _ + - behind the first',
      })
    }
    return this.#turns.take(name, async () => {
      const signal = this.#until(given)
      signal.throwIfAborted()
      let draft: Draft | undefined
      let build: BuildDoc
      try {
        draft = await Draft.begin(this.#layout)
        build = await work(draft, signal)
      } catch (error) {
        // Waited for: whatever comes next may need the room.
        if (draft !== undefined) await this.#leftovers.add(draft.folder)
        throw signal.aborted ? signal.reason : explained(error, this.#layout.making)
      }
      // What fails from here on is made good at the next start, with what is in the draft.
      await this.#place(draft, build)
      return this.#buildOf(build)
    })
  }

  /** @param build what is known of it now, if it is still that one */
  async #update(build: BuildDoc): Promise<void> {
    if (this.#catalogue.get(build.name)?.publishedAt === build.publishedAt) await this.#catalogue.put(build)
  }

  async #place(draft: Draft, build: BuildDoc): Promise<void> {
    const { name } = build
    const before = this.#catalogue.get(name)
    await draft.place(build, (old) => this.#publication.moved(name, old))
    await this.#catalogue.put(build)
    await draft.unseal()
    await this.#publication.begin(build)
    await this.#publication.refresh(before)
    void this.#leftovers.add(draft.folder, () => this.#publication.isRead(name))
    const { digest, bytes, entries, from } = build
    this.#parts.log.info({ build: name, digest, bytes, entries, from }, 'a build is published')
  }

  /** @throws SystemError when no builds can be published here */
  #owners(): Owners {
    if ('problem' in this.#keeping) throw this.#keeping.problem
    return this.#keeping.owners
  }

  #until(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
  }

  #buildOf({ name, digest, bytes, entries, publishedAt, from }: BuildDoc): Build {
    return { name, path: this.#layout.build(name), digest, bytes, entries, publishedAt, from }
  }
}
