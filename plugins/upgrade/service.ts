import { dirname, join } from 'node:path'
import { type Chapter, type Context, networkOf, RequestError, removeTree } from '../../core/api.js'
import type { Hints } from '../activation/public.js'
import {
  type Asked,
  type Builds,
  buildName,
  type Client,
  type Modules,
  type Pulled,
  Rsync,
} from '../rsync/public.js'
import type { collections } from './documents.js'
import { Downloads } from './fetch/downloads.js'
import type { Fetch } from './fetch/fetch.js'
import { Fetches } from './fetch/fetches.js'
import { hold } from './fetch/hold.js'
import { buildsIn } from './lru/asked.js'
import { Collector } from './lru/collector.js'
import { Disk } from './lru/disk.js'
import { Room } from './lru/room.js'
import { Uses } from './lru/uses.js'
import { Visitors } from './lru/visitors.js'
import type { options } from './options.js'
import { parsePrefetch } from './prefetch/plan.js'
import { Prefetch } from './prefetch/prefetch.js'
import type { Source } from './sources/source.js'
import { openSources } from './sources/sources.js'
import { statusOf } from './status.js'

type None = Record<never, never>
export type UpgradeContext = Pick<
  Context<
    typeof options,
    { modules: typeof Modules; builds: typeof Builds },
    { hints: typeof Hints },
    typeof collections,
    None
  >,
  'config' | 'log' | 'needs' | 'wants' | 'store' | 'tap' | 'on' | 'every' | 'defer' | 'health'
>

const million = 1e6
const prefix = 'build-'

/** The parts of upgrade, put together. */
export class Service {
  readonly sources: readonly Source[]
  readonly builds: Builds
  readonly uses: Uses
  readonly fetches: Fetches
  readonly collector: Collector
  readonly room: Room
  /** Of the builds. */
  readonly disk: Disk
  readonly limit: number
  readonly #visitors = new Visitors()
  readonly #ctx: UpgradeContext

  /** Makes it ready for commands, and for laptops once the sockets are bound. */
  static async open(ctx: UpgradeContext): Promise<Service> {
    const { builds } = ctx.needs
    // Only builds knows where its disk is.
    const disk = new Disk(await builds.scratch())
    ctx.defer(() => removeTree(disk.folder))
    const uses = await Uses.open(ctx.store.uses, builds)
    ctx.defer(() => uses.flush())
    return new Service(ctx, disk, uses)
  }

  private constructor(ctx: UpgradeContext, disk: Disk, uses: Uses) {
    const { config, log, needs, wants } = ctx
    const { builds, modules } = needs
    const downloads = new Downloads(join(config.root, 'upgrade'), builds.arrivals)
    const prefetch = new Prefetch(
      config['upgrade-prefetch'].map(parsePrefetch),
      () => wants.hints?.builds() ?? [],
      (name) => this.#prefetch(name),
      log,
    )
    this.#ctx = ctx
    this.sources = openSources(config['upgrade-sources'])
    this.builds = builds
    this.uses = uses
    this.disk = disk
    this.limit = config['upgrade-limit'] * million
    const sweep = (all: boolean) => downloads.sweep((name) => this.fetches.get(name) !== undefined, all)
    const limits = { limit: this.limit, keepFree: config['upgrade-keep-free'] * million }
    this.room = new Room({ builds, disk, downloads: new Disk(dirname(downloads.root)), ...limits })
    this.collector = new Collector({
      ...{ builds, modules, uses, disk, room: this.room, ...limits },
      wanted: (name) => prefetch.why(name),
      visitors: (module) => this.#visitors.of(module).join(', '),
      sweep: () => sweep(true),
    })
    const { sources, collector, room } = this
    this.fetches = new Fetches({ sources, builds, collector, room, uses, downloads, log })
    this.#open(prefetch, () => sweep(false))
  }

  /** Notes that a laptop has begun to fetch a module. */
  async opened({ module, address, at }: Omit<Pulled, 'bytes'>): Promise<void> {
    this.#visitors.came(module, address)
    if (module.startsWith(prefix)) await this.uses.used(module.slice(prefix.length), at)
  }

  /** Notes what a laptop fetches from the module of all builds. */
  async asked({ module, paths, at }: Asked): Promise<void> {
    if (module !== 'builds') return
    const asked = buildsIn(paths)
    for (const { name } of this.builds.list())
      if (asked === 'all' || asked.has(name)) await this.uses.used(name, at)
  }

  /**
   * The fetch of a build for an operator, whatever was said of it before.
   * @throws RequestError when there is nowhere to fetch it from
   */
  fetch(name: string): Fetch {
    if (this.sources.length === 0) {
      throw new RequestError('UNAVAILABLE', 'no source is set', {
        hint: 'name one in upgrade-sources, an address with {name} or a directory',
      })
    }
    this.fetches.failures.forget(name)
    return this.fetches.want(name)
  }

  status(): Chapter {
    return statusOf(this)
  }

  #open(prefetch: Prefetch, sweep: () => Promise<unknown>): void {
    const { needs, tap, on, every, defer, health } = this.#ctx
    const { fetches, collector } = this
    tap(Rsync.pulled, ({ module, address }) => this.#visitors.left(module, address))
    defer(() => fetches.close())
    // Those who wait are told before their connections close.
    on('drain', () => fetches.close())
    defer(needs.builds.keep((name) => collector.whyKept(name)))
    defer(needs.modules.provide((module, client) => this.#provide(module, client)))
    // A command with its doors shut serves no laptop.
    on('ready', () => {
      every(60, () => prefetch.look())
      every(600, async () => {
        await sweep()
        await collector.collect()
      })
    })
    health('room for builds', () =>
      // Who fetches nothing needs no room for it.
      this.sources.length > 0 || this.room.fetched > 0 ? collector.problem() : undefined,
    )
  }

  /** Makes a module of a build that a laptop asks for (docs/reference/protocols.md: Builds, On demand). */
  async #provide(module: string, { address, signal }: Client): Promise<boolean> {
    const name = module.startsWith(prefix) ? module.slice(prefix.length) : ''
    if (this.sources.length === 0 || !buildName.test(name)) return false
    if (this.builds.get(name) === undefined)
      await hold(
        this.fetches.want(name, networkOf(address)),
        this.#ctx.config['upgrade-hold-seconds'],
        signal,
      )
    return true
  }

  #prefetch(name: string): void {
    if (this.builds.get(name) === undefined && this.sources.length > 0) this.fetches.want(name)
  }
}
