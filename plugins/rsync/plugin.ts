import { definePlugin, flag, greeting, keepsLinks, program, report, rsyncHere, text } from '../../core/api.js'
import { publishablePath, rsyncDirectory } from './directory.js'
import { collections } from './documents.js'
import { options } from './options.js'
import { Builds, Modules } from './public.js'

const commands = () => import('./commands/commands.js')

/** Builds of the operating system, and other files, for laptops to fetch with rsync. */
export default definePlugin({
  name: 'rsync',
  api: 1,
  summary: 'Publishes OS builds and other directories as rsync modules.',
  options,
  provides: { modules: Modules, builds: Builds },
  collections,
  system: [
    keepsLinks({ option: 'rsync-root', inRoot: 'rsync' }),
    program('rsync', { package: 'rsync' }),
    rsyncHere,
    program('tar', { package: 'tar' }),
    program('prlimit', { package: 'util-linux' }),
    publishablePath,
    rsyncDirectory,
  ],
  commands: {
    refresh: {
      summary: 'Publish what is in "rsync-packed", and withdraw what is no longer there.',
      args: { name: { help: 'Only the build of this name, or whose files begin with it.', optional: true } },
      options: { force: flag({ help: 'Unpack again what has not changed.', default: false }) },
    },
    list: { summary: 'List modules with who fetches them now, and builds that are missing.', lists: true },
    publish: {
      summary: 'Publish a directory as a module.',
      args: { dir: { help: 'The directory.', path: true } },
      options: {
        as: text({ help: 'Its name; otherwise that of the directory.', default: '', placeholder: 'NAME' }),
      },
    },
    withdraw: {
      summary: 'Publish a module no longer; of a build, remove it, or forget it when it is missing.',
      args: { name: { help: 'The module, or the build.' } },
    },
    usb: {
      summary:
        'Install the builds of a USB stick, and say in one line how it went: for a rule of udev or systemd.',
      args: { mountpoint: { help: 'Where the stick is mounted.', path: true } },
    },
  },

  async start(ctx) {
    const { Service } = await import('./service.js')
    const service = await Service.open(ctx)
    ctx.tap(report, () => ({ rsync: service.status() }))
    ctx.tap(greeting, () => ({
      rsync: [`laptops fetch builds with rsync, port ${ctx.boundPort('rsync-port')}`],
    }))

    ctx.command('refresh', async (call) => (await commands()).refresh(service, call))
    ctx.command('list', async (call) => (await commands()).list(service, call))
    ctx.command('publish', async (call) => (await commands()).publish(service, call))
    ctx.command('withdraw', async (call) => (await commands()).withdraw(service, call))
    ctx.command('usb', async (call) => (await commands()).usb(service, call))
    return { modules: service.modules, builds: service.builds }
  },
})
