import { definePlugin, explain, flag, greeting, integer, path, report, text } from '../../core/api.js'
import { Keyring } from '../keyring/public.js'
import { collections } from './documents.js'
import { options } from './options.js'
import { Hints } from './public.js'

const commands = () => import('./commands/commands.js')

const serial = { help: 'Serial of the laptop.' }
// Not numbers, since what is not said must stay as it is.
const numberOfDays = {
  default: '',
  placeholder: 'DAYS',
  form: {
    pattern: /^$|^(?:[0-2]?\d{1,3}|3[0-5]\d\d|36[0-4]\d|3650)$/,
    says: 'a whole number from 0 to 3650',
  },
}
const groupName = { pattern: /^[^\x00-\x1f\x7f]{0,100}$/, says: 'a name of at most 100 characters' }

/** Leases: laptops that lock ask at boot, and get what lets them go on. */
export default definePlugin({
  name: 'activation',
  api: 1,
  summary: 'Gives laptops their leases at boot, ready ones or fresh ones, and says which are stolen.',
  options,
  wants: { keyring: Keyring },
  provides: { hints: Hints },
  collections,
  commands: {
    import: {
      summary: 'Take over leases, lists of laptops, delegations, keys or a list of stolen laptops.',
      args: { file: { help: 'A file, or the directory of a stick; - is standard input.', input: true } },
    },
    usb: {
      summary: 'Load a USB stick, and say in one line how it went: for a rule of udev or systemd.',
      args: { mountpoint: { help: 'Where the stick is mounted.', path: true } },
    },
    export: {
      summary: 'Write leases for a stick (of one day, if not said; never for stolen laptops), or a list.',
      args: { what: { help: 'leases, stolen or activity.' } },
      options: {
        laptops: text({ help: 'Serials; otherwise all.', default: '', placeholder: 'SN,SN' }),
        days: integer({
          help: 'Days that the leases last.',
          default: 1,
          min: 1,
          max: 3650,
          placeholder: 'DAYS',
        }),
        bundle: flag({ help: 'Leases as a bundle rather than lines.', default: false }),
        to: path({
          help: 'The new file, such as lease.sig on a stick; otherwise standard output.',
          default: '',
        }),
      },
    },
    stolen: {
      summary: 'Say that a laptop is stolen (add), that it is back (remove), or list which are.',
      args: { what: { help: 'add, remove or list.' }, serial: { help: 'Its serial.', optional: true } },
      options: { reason: text({ help: 'Why, for whoever finds it.', default: '' }) },
      lists: true,
    },
    forecast: {
      summary: 'How many laptops lock on which day if none asked again, and which delegations end first.',
      args: { to: { help: 'Last day of --holiday.', optional: true } },
      options: {
        days: integer({ help: 'How far to look.', default: 60, min: 1, max: 3650, placeholder: 'DAYS' }),
        holiday: text({
          help: 'Suppose a holiday: --holiday FROM TO, both YYYY-MM-DD: nobody asks for a lease in it.',
          default: '',
          placeholder: 'FROM',
        }),
      },
      lists: true,
    },
    list: { summary: 'List laptops, with their leases and when they last asked.', lists: true },
    set: {
      summary: 'Set what is special about a laptop.',
      args: { serial },
      options: {
        group: text({
          help: 'Its group; "none" takes it out.',
          default: '',
          form: groupName,
          placeholder: 'NAME',
        }),
        days: text({ help: `Days that its leases last; 0: as its group has it.`, ...numberOfDays }),
        old: text({
          help: 'Whether its firmware knows only sig01 (before August 2009).',
          default: '',
          placeholder: 'yes|no',
          form: { pattern: /^(?:yes|no)?$/, says: 'yes or no' },
        }),
      },
    },
    group: {
      summary: 'Set how long the leases of a group, or of a school, last.',
      args: { name: { help: 'Its name.' } },
      options: { days: text({ help: 'Days; 0: as it is for all.', ...numberOfDays }) },
    },
  },

  async start(ctx) {
    const { Service } = await import('./service.js')
    const service = await Service.open(ctx)
    ctx.tap(report, async () => ({ activation: await service.status() }))
    ctx.tap(explain, (_, wanted) => service.explain(wanted))
    ctx.tap(greeting, () => ({
      activation: [`laptops ask for their lease on port ${ctx.boundPort('activation-port')}`],
    }))

    ctx.command('import', async (call) => (await commands()).importFiles(service, call))
    ctx.command('usb', async (call) => (await commands()).usb(service, call))
    ctx.command('export', async (call) => (await commands()).exportFile(service, call))
    ctx.command('stolen', async (call) => (await commands()).stolen(service, call))
    ctx.command('forecast', async (call) => (await commands()).forecast(service, call))
    ctx.command('list', async (call) => (await commands()).list(service, call))
    ctx.command('set', async (call) => (await commands()).set(service, call))
    ctx.command('group', async (call) => (await commands()).group(service, call))
    return { hints: service.hints }
  },
})
