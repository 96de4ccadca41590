import {
  choice,
  definePlugin,
  explain,
  flag,
  greeting,
  integer,
  port,
  RequestError,
  report,
  text,
} from '../../core/api.js'
import { Allowance } from './allowance.js'
import { Directory } from './directory.js'
import { collections } from './documents.js'
import { type Candidate, Registration, Users } from './public.js'
import { Registry } from './registry.js'
import { statusOf } from './status.js'

const commands = () => import('./commands/commands.js')

const who = { help: 'A uid or the beginning of one, a serial, or a uuid.' }

/** Registration of laptops: XML-RPC, the JSON interface, and who is who. */
export default definePlugin({
  name: 'id',
  api: 1,
  summary: 'Registers laptops and knows who is who.',
  options: {
    'id-port': port({
      help: 'Port of registration over XML-RPC; laptops have 8080 built in.',
      default: 8080,
    }),
    'jabber-server': text({
      help: 'Host that laptops use for presence and for their next registration; empty: the name by which they found this server.',
      default: '',
      placeholder: 'HOST',
      form: { pattern: /^$|^(?=.{1,253}$)[A-Za-z0-9][A-Za-z0-9.-]*$/, says: 'a host name' },
    }),
    registration: choice({
      help: 'Who may register: anybody, laptops on a list (see "id import --known"), or only those who have already.',
      default: 'open',
      of: ['open', 'known', 'closed'],
    }),
    'registration-limit': integer({
      help: 'New laptops that one network address may bring at once; a fifth of it more each hour. 0: no limit.',
      default: 5000,
      min: 0,
      max: 10_000_000,
    }),
  },
  provides: { users: Users },
  collections,
  commands: {
    list: { summary: 'List everyone who registered.', lists: true },
    show: { summary: 'Show all that is known of one learner.', args: { user: who }, lists: true },
    alias: {
      summary: 'Say that a new key is the same child as an old one, so that it gets at the old work.',
      args: {
        new: { help: 'Uid of the new key.' },
        old: { help: 'The learner it belongs to.', optional: true },
      },
      options: { undo: flag({ help: 'Take it back: NEW is a learner of its own again.', default: false }) },
    },
    remove: {
      summary: 'Remove a registration; backups stay, and the laptop may register again.',
      args: { user: who },
    },
    import: {
      summary:
        'Take over registrations: from "id export", an OLPC XS (idmgr database), or a registry of JSON files.',
      args: { file: { help: 'A file or directory; - is standard input.', input: true } },
      options: {
        known: flag({ help: 'FILE lists serials or keys that may register, one a line.', default: false }),
      },
    },
    export: {
      summary: 'Print all registrations.',
      options: { format: choice({ help: 'How.', default: 'json', of: ['json', 'csv'] }) },
    },
  },

  async start(ctx) {
    const { config, log, store } = ctx
    // Imported here, so that commands which only read this object stay quick.
    const [{ Reception }, { serveRpc }, { serveRest }, { serveLeave }] = await Promise.all([
      import('./reception.js'),
      import('./rpc.js'),
      import('./rest.js'),
      import('./leave.js'),
    ])
    const directory = new Directory(store)
    const registry = new Registry(store, new Allowance(config['registration-limit']))
    const reception = new Reception(registry, directory, ctx, config)
    serveRpc(ctx.http.listener('id-port'), reception, log)
    serveRest(ctx.http.router, reception, directory)
    serveLeave(ctx.http.router, { shelves: store, ask: ctx.ask, log })

    if (config.registration !== 'open') ctx.tap(Registration.admit, (candidate) => admit(candidate))
    ctx.tap(explain, async (_, wanted) => {
      const found = await directory.find(wanted)
      if (found.length === 0) return undefined
      const { chapterOf, chapterOfSeveral } = await commands()
      const [only] = found.length === 1 ? found : []
      return { id: only === undefined ? chapterOfSeveral(wanted, found) : await chapterOf(store, only) }
    })
    ctx.tap(report, async () => {
      const id = await statusOf(store)
      return id && { id }
    })
    ctx.tap(greeting, (_, { url, program }) => {
      const address = url('id')
      const server = address?.replace('http://', '')
      return {
        id: [
          `laptops register at ${address}/`,
          `try it: ${program('sugaroid')} register --server ${server} --home ./laptop`,
        ],
      }
    })
    ctx.command('list', async (call) => (await commands()).list(store, call))
    ctx.command('show', async (call) => (await commands()).show(store, directory, call.args.user, call))
    ctx.command('alias', async (call) => (await commands()).alias(store, directory, call))
    ctx.command('remove', async (call) => (await commands()).remove(store, directory, call.args.user, call))
    ctx.command('import', async (call) => (await commands()).takeOver(store, call))
    ctx.command('export', async (call) => (await commands()).exportUsers(store, call, call.options.format))
    return { users: directory }

    async function admit({ uid, serial }: Candidate): Promise<void> {
      if ((await store.users.get(uid)) !== undefined) return
      if (config.registration === 'known') {
        if ((await store.known.get(`serial:${serial}`)) ?? (await store.known.get(`uid:${uid}`))) return
        throw new RequestError('REFUSED', 'this laptop is not on the list of the school; ask your teacher')
      }
      throw new RequestError('REFUSED', 'registration is closed; ask your teacher')
    }
  },
})
