import { join } from 'node:path'
import type { Context } from '../../../core/api.js'
import type { Registry } from '../modules/registry.js'
import type { options } from '../options.js'
import { Rsync } from '../public.js'
import { Bandwidth } from './bandwidth.js'
import { Configuration } from './configuration.js'
import { Front } from './front.js'
import { Hearing } from './hearing.js'
import { Installed } from './installed.js'
import { type Times, usual } from './transfer.js'

type None = Record<never, never>
export type FrontContext = Pick<
  Context<typeof options, None, None, None, None>,
  'config' | 'log' | 'listen' | 'tell' | 'on' | 'defer'
>

/** Bytes of the kilobytes that `rsync-bandwidth` counts. */
const kilobyte = 1000

/** Opens the door for laptops, and closes it with the server. */
export function serve(ctx: FrontContext, registry: Registry, times: Times = usual): Front {
  const { config, log } = ctx
  const rate = config['rsync-bandwidth'] * kilobyte
  // It has to be a file of rsyncd.conf; rsync greets before it looks for modules.
  const installed = new Installed('/dev/null')
  const front = new Front({
    registry,
    installed,
    times,
    log,
    bandwidth: rate === 0 ? undefined : new Bandwidth(rate),
    motd: config['rsync-motd'],
    connections: config['rsync-connections'],
    connectionsEach: config['rsync-connections-each'],
    opened: (event) => ctx.tell(Rsync.opened, event),
    pulled: (event) => ctx.tell(Rsync.pulled, event),
  })
  ctx.listen('rsync-port', front.server)
  // A command with its doors shut serves nobody.
  ctx.on('ready', async () => {
    const folder = join(config.root, 'run', 'rsync')
    const configuration = await Configuration.open(folder, log.isLevelEnabled('debug'), log)
    const hearing = await Hearing.open(folder, log, (event) => ctx.tell(Rsync.asked, event)).catch(
      (error: unknown) => {
        log.error({ err: error }, 'what rsync says will not be in this log')
        return undefined
      },
    )
    front.begin({ configuration, hearing })
    installed.manners().catch((error: unknown) => log.error({ err: error }, 'nobody can be served'))
  })
  ctx.on('drain', () => front.drain())
  ctx.defer(() => front.close())
  return front
}
