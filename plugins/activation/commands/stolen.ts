import { type Call, type Column, RequestError } from '../../../core/api.js'
import { parseSerial } from '../../keyring/public.js'
import type { Theft } from '../documents.js'
import { stolenOf } from '../export/stolen.js'
import { alone, type Desk } from '../intake/desk.js'
import { isStolen } from '../roll/entry.js'
import type { Roll } from '../roll/roll.js'

type Stolen = Pick<Call, 'print' | 'list'> & {
  args: { what: string; serial?: string | undefined }
  options: { reason: string }
}

/** Characters of a reason. */
const longestReason = 500

/** `activation stolen add|remove|list [SERIAL] [--reason TEXT]` */
export async function stolen(desk: Pick<Desk, 'roll'>, call: Stolen): Promise<void> {
  const { args, options } = call
  switch (args.what) {
    case 'add':
      return alone(desk, () => add(desk, call, serialOf(args.serial)))
    case 'remove':
      mustBeAbsent(options.reason, '--reason is why it is stolen')
      return alone(desk, () => remove(desk, call, serialOf(args.serial)))
    case 'list':
      mustBeAbsent(args.serial ?? '', 'stolen list takes no serial')
      mustBeAbsent(options.reason, '--reason is why one is stolen')
      return call.list(stolenOf(desk.roll), columns)
    default:
      throw new RequestError('USAGE', `"${args.what}" is none of add, remove and list`)
  }
}

const columns: readonly Column<Theft>[] = [
  { title: 'SERIAL', text: ({ serial }) => serial },
  { title: 'SINCE', text: ({ at }) => at.slice(0, 10) },
  { title: 'REASON', text: ({ reason }) => reason },
]

async function add({ roll }: Pick<Desk, 'roll'>, { options, print }: Stolen, serial: string): Promise<void> {
  const { reason } = options
  if (reason.length > longestReason)
    throw new RequestError('USAGE', `--reason has ${reason.length} characters, and may have ${longestReason}`)
  const before = theftOf(roll, serial)
  if (before !== undefined && (reason === '' || reason === before.reason)) {
    print(`${serial} is on the list already, since ${before.at.slice(0, 10)}`)
    return
  }
  await roll.apply([{ serial, theft: { serial, reason, at: before?.at ?? new Date().toISOString() } }])
  print(
    before === undefined
      ? `${serial} is stolen: it gets no lease, and is told STOLEN`
      : `${serial}: the reason is written down`,
  )
}

async function remove({ roll }: Pick<Desk, 'roll'>, { print }: Stolen, serial: string): Promise<void> {
  const before = theftOf(roll, serial)
  if (before === undefined) {
    throw new RequestError('NOT_FOUND', `${serial} is not on the list of stolen laptops`, {
      hint: '"activation stolen list" shows which are',
    })
  }
  await roll.apply([{ serial, theft: { ...before, recovered: new Date().toISOString() } }])
  print(`${serial} is back: it gets leases again, and no imported list makes it stolen`)
}

function theftOf(roll: Roll, serial: string): Theft | undefined {
  const entry = roll.get(serial)
  return entry !== undefined && isStolen(entry) ? entry.theft : undefined
}

function serialOf(text: string | undefined): string {
  if (text === undefined) throw new RequestError('USAGE', 'the serial of the laptop is missing')
  const serial = parseSerial(text)
  if (serial === undefined)
    throw new RequestError('USAGE', `"${text}" is no serial of a laptop, three letters and eight hex digits`)
  return serial
}

function mustBeAbsent(text: string, reason: string): void {
  if (text !== '') throw new RequestError('USAGE', reason)
}
