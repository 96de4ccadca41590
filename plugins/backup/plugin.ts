import {
  choice,
  confinement,
  definePlugin,
  explain,
  flag,
  greeting,
  keepsLinks,
  list,
  owned,
  path as pathOption,
  program,
  report,
  rsyncHere,
  text,
} from '../../core/api.js'
import { Registration, Users } from '../id/public.js'
import { backupDirectory } from './archive-directory.js'
import { homeForm } from './journal/home.js'
import { options } from './options.js'
import { Journals } from './public.js'
import { collections } from './session/ledger.js'
import { rsyncTrial } from './session/runner.js'
import { dsaKeys } from './transport/sshd/openssh.js'

const place = { option: 'backup-path', inRoot: 'backup' }

const commands = () => import('./commands/commands.js')

const user = { help: 'A uid or the beginning of one, a serial, or a uuid.' }
const at = text({
  help: 'A snapshot, or a date or time (UTC) for the newest one by then; "latest" for the newest.',
  default: '',
  placeholder: 'DATE|ID',
})

/** Journals: laptops ask, send them over ssh, and get them back. */
export default definePlugin({
  name: 'backup',
  api: 1,
  summary: "Keeps the learners' Journals, with their history, and gives them back.",
  options,
  needs: { users: Users },
  provides: { journals: Journals },
  collections,
  system: [
    keepsLinks(place),
    owned(place),
    program('rsync', { package: 'rsync' }),
    program('tar', { package: 'tar' }),
    program('find', { package: 'findutils' }),
    program('sync', { package: 'coreutils' }),
    rsyncHere,
    dsaKeys,
    backupDirectory,
    program('prlimit', { package: 'util-linux' }),
    confinement(rsyncTrial),
  ],
  commands: {
    list: { summary: 'List learners with the age of their last good backup.', lists: true },
    snapshots: { summary: 'List the snapshots of a learner.', args: { user }, lists: true },
    entries: {
      summary: 'List what is in a Journal; a search goes through all snapshots.',
      args: { user },
      options: {
        at,
        search: text({
          help: 'Words that must all be found in an entry. Without --at, entries that were deleted are found too.',
          default: '',
          placeholder: 'WORDS',
        }),
      },
      lists: true,
    },
    restore: {
      adds: ({ form }) => form === 'stick',
      summary: 'Write a Journal, or entries of it, to a directory, a USB stick or a file.',
      args: { user },
      options: {
        at,
        entry: {
          ...list({
            help: 'An entry, by its uid, from the snapshot in which it was last; may be given again with --form stick.',
            default: [],
            placeholder: 'UID',
          }),
          repeats: true,
        },
        form: choice({
          help: 'stick: files for the top directory of a USB stick, --to, as every Sugar since 0.88 reads them. Everybody who has the stick can read them.',
          default: 'auto',
          of: ['auto', 'stick'],
        }),
        home: text({
          help: 'Home of the account on the laptop, for a .xob file; /home/olpc without it.',
          default: '',
          placeholder: '/home/NAME',
          form: { pattern: homeForm, says: 'an absolute path, such as /home/pepe' },
        }),
        documents: flag({
          help: 'What the laptop sent besides its Journal, instead of that.',
          default: false,
        }),
        to: pathOption({
          help: 'A new directory. Or FILE.xob, the Journal for Sugar up to 0.114: later ones empty the Journal and fail on it. Or FILE.xoj, an entry for Sugar up to 0.101: later ones lose its content.',
          default: '',
        }),
      },
    },
    hold: {
      summary: 'Keep a snapshot whatever the rules say; the newest, if not said.',
      args: { user },
      options: {
        at,
        reason: text({ help: 'Why, for whoever finds it.', default: 'held by an operator' }),
      },
    },
    release: {
      summary: 'Say that what the brake saw was meant; with --at, take any hold of a snapshot back.',
      args: { user },
      options: { at },
    },
    prune: {
      summary: 'Remove snapshots that no rule keeps, and what nobody needs any more.',
      options: { 'dry-run': flag({ help: 'Only say what would go, and why.', default: false }) },
      lists: true,
    },
    verify: {
      summary: 'Read everything again and compare it with its hashes.',
      options: {
        repair: flag({ help: 'Look for other copies of what is damaged.', default: false }),
      },
      lists: true,
    },
    drill: {
      summary: 'Restore N Journals (3, if not said) for a trial, and compare them.',
      args: { n: { help: 'How many.', optional: true } },
      lists: true,
    },
    'import-xs': {
      summary: 'Take over the backups of an OLPC XS, with their history.',
      args: { dir: { help: 'Its directory of users, such as /library/users.', path: true } },
    },
    'authorized-keys': {
      summary: 'Print the lines of authorized_keys for an OpenSSH that cannot ask this server.',
    },
  },

  async start(ctx) {
    const { Service } = await import('./service.js')
    const service = await Service.open(ctx)
    const { desk } = service

    ctx.tap(Registration.enrol, (_, learner) => service.enrolment(learner), { required: true })
    ctx.tap(Registration.leave, ({ uid }) => service.forget(uid))
    ctx.tap(report, () => ({ backup: service.status() }))
    ctx.tap(explain, (_, wanted) => service.explain(wanted))
    ctx.tap(greeting, (_, { program }) => ({
      backup: [
        `laptops back up over ssh, port ${ctx.boundPort('backup-ssh-port')}`,
        `try it: ${program('sugaroid')} demo --server 127.0.0.1:${ctx.boundPort('id-port')}`,
      ],
    }))

    ctx.command('list', async (call) => (await commands()).list(desk, call))
    ctx.command('snapshots', async (call) => (await commands()).snapshots(desk, call.args.user, call))
    ctx.command('entries', async (call) => (await commands()).entries(desk, call))
    ctx.command('restore', async (call) => (await commands()).restore(desk, call))
    ctx.command('hold', async (call) => (await commands()).hold(desk, call))
    ctx.command('release', async (call) => (await commands()).release(desk, call))
    ctx.command('prune', async (call) => (await commands()).prune(desk, call))
    ctx.command('verify', async (call) => (await commands()).verify(desk, call))
    ctx.command('drill', async (call) => (await commands()).drill(desk, call))
    ctx.command('import-xs', async (call) => (await commands()).importXs(desk, call))
    ctx.command('authorized-keys', async (call) => {
      for (const line of await service.authorizedKeys()) call.print(line)
    })
    return { journals: desk.journals }
  },
})
