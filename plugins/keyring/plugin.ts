import { choice, definePlugin, explain, flag, path, paths, report, text } from '../../core/api.js'
import { keyringDirectory } from './directory.js'
import { collections } from './documents.js'
import { passphraseFile } from './keys/passphrase-probe.js'
import { options } from './options.js'
import { Keyring, roles } from './public.js'

const commands = () => import('./commands/commands.js')

const key = { help: 'The id of a key or the beginning of one, as "keyring list" shows it.' }
const laptops = {
  help: 'CSV of laptops: SERIAL,UUID or SCHOOL,SERIAL,UUID; - is standard input.',
  input: true,
} as const
const role = text({
  help: `What for: ${roles.join(', ')}; otherwise what the name of each file says, as lease.public does.`,
  default: '',
  placeholder: 'ROLE',
})
const until = text({
  help: 'When it ends, UTC: a date, or YYYYMMDDThhmmssZ.',
  default: '',
  placeholder: 'TIME',
})
const to = path({ help: 'The new file to write; otherwise standard output.', default: '' })
const toFile = path({ help: 'The new file to write.', default: '' })

/** Keys of anti-theft, and everything that is signed with them. */
export default definePlugin({
  name: 'keyring',
  api: 1,
  summary: 'Keeps the keys of anti-theft, signs with them, and verifies what others signed.',
  options,
  provides: { keyring: Keyring },
  collections,
  system: [passphraseFile, keyringDirectory],
  commands: {
    list: { summary: 'List keys: what for, whether they sign, and in what state.', lists: true },
    generate: {
      summary: 'Make a pair of keys.',
      args: { role: { help: `What for: ${roles.join(', ')}.` } },
    },
    import: {
      summary: 'Take keys over: .public and .private files of makekey, or "key01:" texts.',
      args: { file: { help: 'A file, or a directory of them; - is standard input.', input: true } },
      options: { role },
    },
    export: {
      summary: 'Write a public key to a file, as makekey does.',
      args: { key },
      options: {
        private: flag({ help: 'The private key instead: whoever has it signs as you do.', default: false }),
        text: flag({ help: 'The public key as a "key01:" text.', default: false }),
        to: toFile,
      },
    },
    remove: {
      summary: 'Remove a key that was put here by mistake and never signed: both halves.',
      args: { key },
    },
    mark: {
      summary: 'Say that a key is retired (signs no more, still trusted), compromised, or active again.',
      args: { key, state: { help: 'active, retired or compromised.' } },
    },
    verify: {
      summary:
        'Say whether a laptop would accept a signed file, and why. Exit code 0: it would; 1: it would not.',
      args: {
        file: { help: 'A .sig file, a bundle, an answer of OATS, or a zip of OS or firmware.', path: true },
      },
      options: {
        serial: text({
          help: 'The laptop; otherwise the only one in the file.',
          default: '',
          placeholder: 'SN',
        }),
        uuid: text({ help: "The laptop's uuid.", default: '', placeholder: 'UUID' }),
        laptops: path({ help: 'CSV with serials and uuids, in place of --uuid.', default: '' }),
        at: text({
          help: 'The time to look from, UTC: a date for its first second, or YYYYMMDDThhmmssZ; otherwise now.',
          default: '',
          placeholder: 'TIME',
        }),
        trust: paths({
          help: 'A public key that the laptop knows, .public or "key01:"; may be repeated.',
        }),
        delegate: path({ help: 'For a bare delegation: the key that it should hand over to.', default: '' }),
        nonce: text({
          help: 'For an answer of OATS: the nonce that was sent.',
          default: '',
          placeholder: 'N',
        }),
        data: path({ help: 'For a detached signature: the file that was signed.', default: '' }),
      },
      lists: true,
      here: () => import('./commands/verify.js'),
    },
    lease: {
      summary: 'Sign leases for laptops of a list.',
      args: { laptops },
      options: {
        until,
        bundle: flag({ help: 'As a bundle rather than lines.', default: false }),
        to,
      },
    },
    delegate: {
      summary:
        'Authority: let a school server sign for the laptops of a list. What is unchanged and fresh is kept.',
      args: { laptops },
      options: {
        key: path({ help: "The school server's public key, .public or key01.", default: '' }),
        school: text({ help: 'Only laptops of this school, where the list names schools.', default: '' }),
        role: choice({ help: 'What for.', default: 'lease', of: ['lease', 'oats'] }),
        until,
        to,
      },
    },
    delegations: { summary: 'List delegations that this server holds.', lists: true },
    'take-delegations': {
      summary: 'School: take over d-lease.sig or d-oats.sig, with a verdict on each line that is refused.',
      args: { file: { help: 'The file; - is standard input.', input: true } },
      options: { role: choice({ help: 'What for.', default: 'lease', of: ['lease', 'oats'] }) },
    },
    devkey: {
      summary: 'Authority: sign developer keys for laptops of a list.',
      args: { laptops },
      options: { to },
    },
    rtcreset: {
      summary: 'Sign the right to set the clock of one laptop.',
      args: { laptops },
      options: {
        current: text({
          help: "What the laptop's clock says, YYYYMMDDThhmmssZ.",
          default: '',
          placeholder: 'TIME',
        }),
        nonce: text({ help: 'The number that it shows.', default: '', placeholder: 'N' }),
        to,
      },
    },
    sign: {
      summary: 'Sign a file: a sig01 beside it.',
      args: { file: { help: 'The file, at most 64 MiB; - is standard input.', input: true } },
      options: {
        role: choice({ help: 'As what.', default: 'os', of: ['os', 'fs', 'fw'] }),
        hash: choice({ help: 'With which hash.', default: 'sha256', of: ['sha256', 'sha512', 'rmd160'] }),
        to,
      },
    },
    bundle: {
      summary: 'Sign an image and pack it as laptops want it: a zip of data.sig and data.img.',
      args: { file: { help: 'The image, at most 64 MiB.', input: true } },
      options: { as: choice({ help: 'What it is.', default: 'os', of: ['os', 'fw'] }), to: toFile },
    },
    audit: {
      summary: 'Show what was signed.',
      options: {
        check: flag({
          help: 'Look whether lines were removed, changed or reordered, instead.',
          default: false,
        }),
        last: text({ help: 'How many lines, the newest.', default: '50', placeholder: 'N' }),
      },
      lists: true,
    },
    clock: {
      summary: 'Show whether the clock can be trusted to sign.',
      options: {
        accept: flag({ help: 'Say that the clock is right now, whatever was seen before.', default: false }),
      },
      lists: true,
    },
  },

  async start(ctx) {
    const { Service } = await import('./service.js')
    const service = await Service.open(ctx)
    ctx.tap(report, async () => ({ keyring: await service.status() }))
    ctx.tap(explain, (_, wanted) => service.explain(wanted))

    ctx.command('list', async (call) => (await commands()).list(service, call))
    ctx.command('generate', async (call) => (await commands()).generate(service, call))
    ctx.command('import', async (call) => (await commands()).importKeys(service, call))
    ctx.command('export', async (call) => (await commands()).exportKey(service, call))
    ctx.command('remove', async (call) => (await commands()).remove(service, call))
    ctx.command('mark', async (call) => (await commands()).mark(service, call))
    ctx.command('lease', async (call) => (await commands()).lease(service, call))
    ctx.command('delegate', async (call) => (await commands()).delegate(service, call))
    ctx.command('delegations', async (call) => (await commands()).delegations(service, call))
    ctx.command('take-delegations', async (call) => (await commands()).takeDelegations(service, call))
    ctx.command('devkey', async (call) => (await commands()).developerKeys(service, call))
    ctx.command('rtcreset', async (call) => (await commands()).rtcReset(service, call))
    ctx.command('sign', async (call) => (await commands()).signFile(service, call))
    ctx.command('bundle', async (call) => (await commands()).bundle(service, call))
    ctx.command('audit', async (call) => (await commands()).audit(service, call))
    ctx.command('clock', async (call) => (await commands()).clock(service, call))
    return { keyring: service.keyring }
  },
})
