import { definePlugin, flag, report } from '../../core/api.js'
import { Hints } from '../activation/public.js'
import { Builds, Modules, Rsync } from '../rsync/public.js'
import { collections } from './documents.js'
import { capacity } from './lru/capacity.js'
import { options } from './options.js'

const commands = () => import('./commands/commands.js')

const name = { help: 'Name of the build.' }

/** Builds that are not here yet: fetched when a laptop asks for them, and removed when nobody does any more. */
export default definePlugin({
  name: 'upgrade',
  api: 1,
  summary: 'Fetches builds that laptops ask for, and keeps their directory within its limit.',
  options,
  needs: { modules: Modules, builds: Builds },
  wants: { hints: Hints },
  collections,
  system: [capacity],
  commands: {
    list: { summary: 'List builds, when they were last of use, and what is being fetched.', lists: true },
    fetch: { summary: 'Fetch a build now.', args: { name } },
    stick: { summary: 'Keep a build whatever the limit says.', args: { name } },
    unstick: { summary: 'Let a build go when it is its turn.', args: { name } },
    remove: { summary: 'Remove a build.', args: { name } },
    gc: {
      summary: 'Remove what goes beyond the limit.',
      options: { 'dry-run': flag({ help: 'Only say what would go, and why.', default: false }) },
      lists: true,
    },
  },

  async start(ctx) {
    const { Service } = await import('./service.js')
    const service = await Service.open(ctx)
    ctx.tap(report, () => ({ upgrade: service.status() }))
    ctx.tap(Rsync.opened, (event) => service.opened(event))
    ctx.tap(Rsync.asked, (event) => service.asked(event))

    ctx.command('list', async (call) => (await commands()).list(service, call))
    ctx.command('fetch', async (call) => (await commands()).fetch(service, call))
    ctx.command('stick', async (call) => (await commands()).stick(service, call))
    ctx.command('unstick', async (call) => (await commands()).unstick(service, call))
    ctx.command('remove', async (call) => (await commands()).remove(service, call))
    ctx.command('gc', async (call) => (await commands()).gc(service, call))
  },
})
