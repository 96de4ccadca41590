import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { type Collection, type Logger, makeFolder, RequestError } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
import type { Outcome } from '../packed/outcome.js'
import { type Asked, Refresh } from '../packed/refresh.js'
import type { Build, Builds, Keeper, Modules, PackedBuild, Progress } from '../public.js'
import { explained } from '../unpack/fault.js'
import { limitsOf } from '../unpack/limits.js'
import { giveLook } from '../unpack/own.js'
import { Incoming } from './arrivals.js'
import { Catalogue } from './catalogue.js'
import { isThere, move } from './disk.js'
import { Draft, type Sealed } from './draft.js'
import { Layout } from './layout.js'
import { Leftovers } from './leftovers.js'
import type { StockedBuild } from './making.js'
import { checkAlone, checkName } from './naming.js'
import { Publication } from './publication.js'
import { compare, missed, recover, stranger } from './recovery.js'
import { Turns } from './turns.js'
import { Workshop } from './workshop.js'

export interface ShelfParts {
  /** `rsync-root`; it is there. */
  readonly root: string
  /** `rsync-packed`. */
  readonly packed: string
  readonly builds: Collection<BuildDoc>
  readonly modules: Pick<Modules, 'publish' | 'withdraw' | 'active'>
  /** Bytes of the disk that a tree may take: `rsync-tree-limit`. */
  readonly treeLimit: number
  /** @throws SystemError when `rsync-root` is not there */
  readonly check?: () => void
  readonly log: Logger
}

/** The turn of refreshes; no build is called so. */
const refreshing = ':refresh'

/** Published builds. What changes one takes its turn: about each name, one thing is done at a time. */
export class Shelf implements Builds {
  readonly arrivals: Incoming
  readonly #parts: ShelfParts
  readonly #layout: Layout
  readonly #catalogue: Catalogue
  readonly #workshop: Workshop
  readonly #leftovers: Leftovers
  readonly #publication: Publication
  readonly #turns = new Turns()
  readonly #keepers = new Set<Keeper>()
  readonly #closing = new AbortController()
  /** Names in `pub/builds` that were in no catalogue when the server started. */
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
    const leftovers = new Leftovers(parts.log)
    const workshop = await Workshop.open(layout, limitsOf(parts.treeLimit), leftovers)
    const shelf = new Shelf(parts, { layout, catalogue, publication, leftovers, workshop })
    await shelf.#begin()
    return shelf
  }

  private constructor(
    parts: ShelfParts,
    own: {
      readonly layout: Layout
      readonly catalogue: Catalogue
      readonly publication: Publication
      readonly leftovers: Leftovers
      readonly workshop: Workshop
    },
  ) {
    this.#parts = parts
    this.#layout = own.layout
    this.#catalogue = own.catalogue
    this.#publication = own.publication
    this.#leftovers = own.leftovers
    this.#workshop = own.workshop
    this.arrivals = new Incoming(own.layout, () => this.#check())
  }

  /** Gives up what is under way. What is published stays as it is. */
  async close(): Promise<void> {
    this.#closing.abort(new RequestError('UNAVAILABLE', 'the server is stopping'))
    await this.#turns.end()
    await this.#leftovers.close()
    await this.#catalogue.settle()
  }

  /** `rsync-packed`. */
  get packed(): string {
    return this.#parts.packed
  }

  /** What an operator should know, one sentence each. */
  notes(): readonly string[] {
    const general = [this.#workshop.note, this.#publication.problem].filter((note) => note !== undefined)
    const strangers = this.#strangers.filter((name) => this.#catalogue.get(name) === undefined)
    const strange = strangers.map((name) => stranger(this.#layout.build(name)))
    return [...general, ...this.missing().map(missed), ...strange]
  }

  list(): readonly Build[] {
    return this.#catalogue.list().map((build) => this.#buildOf(build))
  }

  missing(): readonly Build[] {
    return this.#catalogue.missing().map((build) => this.#buildOf(build))
  }

  get(name: string): Build | undefined {
    const build = this.#catalogue.get(name)
    return build && this.#buildOf(build)
  }

  install(packed: PackedBuild | StockedBuild, progress: Progress): Promise<Build> {
    const note = (line: string) => progress.note(line)
    const unpacked = (bytes: number) => progress.unpacked?.(bytes)
    return this.#publish(packed.name, progress.signal, (signal) => {
      return this.#workshop.unpack(packed, { note, unpacked, signal })
    })
  }

  adopt(name: string, directory: string, from: string, signal?: AbortSignal): Promise<Build> {
    return this.#publish(name, signal, (until) => this.#workshop.adopt({ name, directory, from }, until))
  }

  async scratch(): Promise<string> {
    const { making } = this.#layout
    this.#check()
    return await mkdtemp(join(making, 'scratch-')).catch((error) => {
      throw explained(error, making)
    })
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
    return this.#turn(name, async () => {
      const build = this.#catalogue.known(name)
      if (build === undefined) return false
      await this.#publication.end(name)
      const wasThere = await this.#takeAway(name).catch(async (error) => {
        const stays = this.#catalogue.get(name)
        if (stays !== undefined) await this.#publication.begin(stays)
        throw explained(error, this.#layout.builds)
      })
      this.#leave(name, foldersOf(await this.#outdated(name)))
      await this.#publication.refresh(build)
      const what = wasThere ? `removed build-${name}` : `forgot build-${name}, which was not on the disk`
      this.#parts.log.info({ build: name, bytes: wasThere ? build.bytes : 0, reason }, `${what}: ${reason}`)
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
      this.#check()
      const shelf = {
        builds: () => this.#catalogue.list(),
        path: (name: string) => this.#layout.build(name),
        install: (build: StockedBuild, given: Progress) => this.install(build, given),
        remove: (name: string, reason: string) => this.remove(name, reason),
        update: (build: BuildDoc) => this.#turn(build.name, () => this.#update(build)),
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

  /** Takes a build from its place, if it is there, and from the catalogue. @returns whether it was there */
  async #takeAway(name: string): Promise<boolean> {
    const place = this.#layout.build(name)
    const wasThere = await isThere(place)
    if (wasThere) {
      // Nothing is made for it: it must go on a disk that is full.
      const gone = join(this.#layout.making, `gone-${randomBytes(8).toString('hex')}`)
      await move(place, gone, () => this.#publication.moved(name, gone))
      this.#leave(name, [gone])
      await this.#catalogue.remove(name)
    } else await this.#catalogue.forget(name)
    return wasThere
  }

  async #begin(): Promise<void> {
    const { log } = this.#parts
    const { useless, unfinished } = await recover(this.#layout, this.#catalogue, log)
    this.#strangers = await compare(this.#layout, this.#catalogue)
    if (this.#workshop.owners === 'attributes') {
      // On a disk that is full, or whose "builds" is somebody else's, what is there is served all the same.
      await giveLook(this.#layout.builds, 'directory', this.#closing.signal).catch((err: unknown) => {
        log.warn({ err }, "the directory of all builds looks like this server's, and not root's")
      })
    }
    await this.#publication.start([...unfinished, ...this.#catalogue.missing()])
    for (const path of useless) void this.#leftovers.add(path)
    for (const note of this.notes()) log.warn(note)
  }

  async #publish(
    name: string,
    given: AbortSignal | undefined,
    make: (signal: AbortSignal) => Promise<Sealed>,
  ): Promise<Build> {
    checkName(name)
    return this.#turn(name, async () => {
      checkAlone(name, this.#catalogue.list())
      const sealed = await make(this.#until(given))
      // What fails from here on is made good at the next start, with what is in the draft.
      await this.#place(sealed).catch((error) => {
        throw explained(error, this.#layout.builds)
      })
      return this.#buildOf(sealed.build)
    })
  }

  /** @param build what is known of it now, if it is still that one */
  async #update(build: BuildDoc): Promise<void> {
    if (this.#catalogue.get(build.name)?.publishedAt === build.publishedAt) await this.#catalogue.put(build)
  }

  async #place({ draft, build }: Sealed): Promise<void> {
    const { name } = build
    const before = this.#catalogue.known(name)
    const older = await this.#outdated(name, draft)
    await draft.place(build, (old) => this.#publication.moved(name, old))
    await this.#catalogue.put(build)
    await draft.unseal()
    await this.#publication.begin(build)
    await this.#publication.refresh(before)
    this.#leave(name, foldersOf([draft, ...older]))
    const { digest, bytes, entries, from } = build
    this.#parts.log.info({ build: name, digest, bytes, entries, from }, 'a build is published')
  }

  /**
   * What of a build could not be placed is of no use any more, and must not be what the next start places.
   * @param but what is meant now
   */
  async #outdated(name: string, but?: Draft): Promise<readonly Draft[]> {
    const drafts = (await Draft.of(this.#layout, name)).filter(({ folder }) => folder !== but?.folder)
    for (const draft of drafts) await draft.unseal()
    return drafts
  }

  /** What of a build has no place any more goes when nobody can be reading it. */
  #leave(name: string, paths: readonly string[]): void {
    for (const path of paths) void this.#leftovers.add(path, () => this.#publication.isRead(name))
  }

  /** Names that rsync takes for one have one turn. */
  #turn<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(name.toLowerCase(), async () => {
      this.#check()
      return work()
    })
  }

  #check(): void {
    this.#parts.check?.()
  }

  #until(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
  }

  #buildOf({ name, digest, bytes, entries, publishedAt, from }: BuildDoc): Build {
    return { name, path: this.#layout.build(name), digest, bytes, entries, publishedAt, from }
  }
}

const foldersOf = (drafts: readonly Draft[]): string[] => drafts.map(({ folder }) => folder)
