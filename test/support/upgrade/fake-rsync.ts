import { cp, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { definePlugin, type Plugin, report } from '../../../core/api.js'
import type { TestHouse } from '../../../core/testing.js'
import { Incoming } from '../../../plugins/rsync/builds/arrivals.js'
import { Layout } from '../../../plugins/rsync/builds/layout.js'
import {
  type Asked,
  type Build,
  Builds,
  type Client,
  type Keeper,
  type Module,
  Modules,
  type PackedBuild,
  type Progress,
  type Provider,
  type Pulled,
  Rsync,
} from '../../../plugins/rsync/public.js'
import { temporaryDirectory } from '../temporary-directory.js'

/** What stands in for the plugin rsync: builds are directories that hold their packed tree, and nobody connects. */
export interface StandIn {
  readonly plugin: Plugin
  readonly shelf: Builds
  readonly builds: Map<string, Build>
  readonly installed: PackedBuild[]
  readonly removed: { name: string; reason: string }[]
  /** Transfers under way, by module. */
  readonly active: Map<string, number>
  /** Called before a build is adopted. */
  adopting: (name: string, directory: string) => unknown
  /** Waited for before what was removed goes from the disk, which nobody waits for. */
  removing: (name: string) => unknown
  /** Called before a build is installed. */
  installing: (packed: PackedBuild, progress: Progress) => unknown
  readonly arrivals: Incoming
  /** What an operator is told who withdraws a build; undefined when it may go. */
  whyKept(name: string): Promise<string | undefined>
  /** A client asks for a module that is not there, from this address. */
  ask(name: string, client?: Partial<Client>): Promise<boolean>
  opened(event: Omit<Pulled, 'bytes'>): void
  asked(event: Asked): void
  pulled(event: Pulled): void
  /** Puts a build there. */
  put(name: string, facts?: Partial<Build>): Promise<Build>
}

/** @param disk a directory that builds lie in */
export async function standIn(t: Pick<Test, 'teardown'>, disk?: string): Promise<StandIn> {
  const root = disk ?? (await temporaryDirectory(t))
  const builds = new Map<string, Build>()
  const providers: Provider[] = []
  const keepers = new Set<Keeper>()
  const layout = new Layout(root)
  for (const folder of [layout.arriving, layout.making]) await mkdir(folder, { recursive: true })
  let told: Pick<StandIn, 'opened' | 'asked' | 'pulled'> | undefined
  const at: StandIn = {
    plugin: undefined as never,
    shelf: undefined as never,
    builds,
    installed: [],
    removed: [],
    active: new Map(),
    arrivals: new Incoming(layout),
    async whyKept(name) {
      for (const keeper of keepers) {
        const why = await keeper(name)
        if (why !== undefined) return why
      }
      return undefined
    },
    adopting: () => undefined,
    removing: () => undefined,
    installing: () => undefined,
    async ask(name, { address = '10.0.0.9', signal = new AbortController().signal } = {}) {
      for (const provider of providers) if (await provider(name, { address, signal })) return true
      return false
    },
    opened: (event) => told?.opened(event),
    asked: (event) => told?.asked(event),
    pulled: (event) => told?.pulled(event),
    async put(name, facts = {}) {
      const path = join(root, 'pub', name)
      await mkdir(join(path, 'root'), { recursive: true })
      const build: Build = {
        ...{ name, path, digest: '', bytes: 1_000_000, entries: 1, from: 'upgrade' },
        publishedAt: new Date(Date.now()).toISOString(),
        ...facts,
      }
      builds.set(name, build)
      return build
    },
  }
  const shelf: Builds = {
    list: () => [...builds.values()],
    missing: () => [],
    get: (name) => builds.get(name),
    async install(packed, progress) {
      await at.installing(packed, progress)
      const build = await at.put(packed.name, {
        ...{ digest: packed.digest ?? '', from: packed.from, bytes: (await stat(packed.tree)).size },
      })
      await cp(packed.tree, join(build.path, 'root', 'tree'))
      await cp(packed.contents, join(build.path, 'contents'))
      at.installed.push(packed)
      return build
    },
    async adopt(name, directory, from) {
      await at.adopting(name, directory)
      const build = await at.put(name, { from })
      await rm(build.path, { recursive: true })
      await rename(directory, build.path)
      return build
    },
    arrivals: at.arrivals,
    keep(keeper) {
      keepers.add(keeper)
      return () => keepers.delete(keeper)
    },
    async scratch() {
      return await mkdtemp(join(root, 'making', 'scratch-'))
    },
    async remove(name, reason) {
      const build = builds.get(name)
      if (build === undefined) return false
      builds.delete(name)
      at.removed.push({ name, reason })
      const gone = await mkdtemp(join(layout.making, 'gone-'))
      await rename(build.path, gone)
      void Promise.resolve(at.removing(name)).then(() => rm(gone, { recursive: true, force: true }))
      return true
    },
  }
  const modules: Modules = {
    list: () => [...builds.values()].map(moduleOf),
    get: (name) => [...builds.values()].map(moduleOf).find((one) => one.name === name),
    publish: async () => undefined,
    withdraw: async () => false,
    provide(provider) {
      providers.push(provider)
      return () => providers.splice(providers.indexOf(provider), 1)
    },
    active: (name) => at.active.get(name) ?? 0,
  }
  const plugin = definePlugin({
    name: 'rsync',
    api: 1,
    summary: 'stands in for rsync',
    provides: { modules: Modules, builds: Builds },
    start(ctx) {
      told = {
        opened: (event) => ctx.tell(Rsync.opened, event),
        asked: (event) => ctx.tell(Rsync.asked, event),
        pulled: (event) => ctx.tell(Rsync.pulled, event),
      }
      return { modules, builds: shelf }
    },
  })
  return Object.assign(at, { plugin, shelf })
}

const moduleOf = ({ name, path }: Build): Module => ({
  name: `build-${name}`,
  path,
  comment: '',
  owners: 'attributes',
})

/** What upgrade tells of itself. */
export async function facts(house: TestHouse): Promise<Record<string, unknown>> {
  const chapters = await house.house.kernel.hooks.gather(report, {}, undefined)
  return chapters.upgrade?.facts ?? {}
}

export const contentsOf = ({ path }: Build): Promise<string> => readFile(join(path, 'contents'), 'utf8')
export const treeOf = ({ path }: Build): Promise<Buffer> => readFile(join(path, 'root', 'tree'))
