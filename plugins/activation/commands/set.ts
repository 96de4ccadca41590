import { type Call, RequestError } from '../../../core/api.js'
import { parseSerial } from '../../keyring/public.js'
import type { LaptopChange } from '../roll/change.js'
import type { Service } from '../service.js'

type SetCall = Pick<Call, 'print'> & {
  readonly args: { readonly serial: string }
  readonly options: { readonly group: string; readonly days: string; readonly old: string }
}

/** `activation set SERIAL`: what is special about a laptop. */
export async function set({ roll, planner }: Service, { args, options, print }: SetCall): Promise<void> {
  const serial = parseSerial(args.serial)
  if (serial === undefined)
    throw new RequestError('USAGE', `"${args.serial}" is no serial of three letters and eight hex digits`)
  const change: LaptopChange = {
    ...(options.group !== '' && { group: options.group === 'none' ? null : options.group }),
    ...(options.days !== '' && { days: options.days === '0' ? null : Number(options.days) }),
    ...(options.old !== '' && { old: options.old === 'yes' ? true : null }),
  }
  if (Object.keys(change).length === 0)
    throw new RequestError('USAGE', 'nothing is to be set', { hint: 'say --group, --days or --old' })
  if (roll.get(serial) === undefined && 'lacks' in planner.means(serial))
    throw new RequestError('NOT_FOUND', `no laptop ${serial} is known`, {
      hint: 'import a list that names it',
    })
  await roll.apply([{ serial, laptop: change }])
  const laptop = roll.get(serial)?.laptop
  const group = laptop?.group === undefined ? 'in no group' : `in the group ${laptop.group}`
  const firmware = laptop?.old === true ? ', with sig01 only' : ''
  print(`${serial}: ${group}, leases of ${planner.daysOf(laptop)} days${firmware}`)
}
