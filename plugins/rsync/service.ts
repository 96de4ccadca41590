import { join } from 'node:path'
import type { Chapter, Context, Logger } from '../../core/api.js'
import { Shelf } from './builds/shelf.js'
import { rsyncDirectory } from './directory.js'
import type { collections } from './documents.js'
import type { Front } from './front/front.js'
import { serve } from './front/serve.js'
import { Registry } from './modules/registry.js'
import type { options } from './options.js'
import { statusOf } from './status.js'

type None = Record<never, never>
export type RsyncContext = Pick<
  Context<typeof options, None, None, typeof collections, None>,
  'config' | 'log' | 'signal' | 'store' | 'listen' | 'tell' | 'on' | 'every' | 'defer' | 'health'
>

/**
 * Seconds between two looks at what is published: for those who are served by the daemon of their system, and for links
 * that lead out.
 */
const lookEvery = 10

const million = 1e6

/** The parts of rsync, put together. */
export class Service {
  readonly modules: Registry
  readonly builds: Shelf
  readonly front: Front
  readonly config: RsyncContext['config']
  readonly log: Logger

  /** Makes it ready for commands, and for laptops once the sockets are bound. */
  static async open(ctx: RsyncContext): Promise<Service> {
    const directory = rsyncDirectory.guard(ctx.config)
    const folder = directory.path
    const check = () => directory.check()
    const { config, store, log } = ctx
    const modules = await Registry.open({ root: config.root, folder, published: store.published, check, log })
    const builds = await Shelf.open({
      ...{ root: folder, builds: store.builds, modules, check, log },
      packed: config['rsync-packed'] || join(folder, 'xobuilds-packed'),
      treeLimit: config['rsync-tree-limit'] * million,
    })
    ctx.defer(() => builds.close())
    await modules.note()
    return new Service(ctx, modules, builds)
  }

  private constructor(ctx: RsyncContext, modules: Registry, builds: Shelf) {
    this.modules = modules
    this.builds = builds
    this.config = ctx.config
    this.log = ctx.log
    this.front = serve(ctx, modules)
    ctx.on('ready', () => builds.refreshAtStart())
    ctx.every(lookEvery, () => modules.note())
    ctx.every(lookEvery, () => modules.lookForWaysOut(ctx.signal))
    ctx.health('modules', () => modules.problem())
  }

  status(): Chapter {
    return statusOf(this.modules, this.front, this.builds.notes())
  }
}
