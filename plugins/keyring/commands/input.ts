import { type Call, RequestError } from '../../../core/api.js'
import { type Laptop, type LaptopList, readLaptops } from '../laptops.js'
import type { Service } from '../service.js'
import type { Notary } from '../sign/notary.js'
import { formatMoment, hasPassed, type Moment } from '../wire/moment.js'
import { momentOf } from './moment.js'

/** Who asks, as the audit log has it. */
export const operator = 'operator'

/** The only file that came with a command. @throws RequestError when there are none or several */
export async function onlyFile({ files }: Pick<Call, 'files'>): Promise<Buffer> {
  let only: Buffer | undefined
  for await (const { path, bytes } of files()) {
    if (only !== undefined)
      throw new RequestError('USAGE', `${path} is one of several files`, { hint: 'name one file' })
    only = bytes
  }
  if (only === undefined)
    throw new RequestError('NOT_FOUND', 'there is no file there', { hint: 'name one file' })
  return only
}

/**
 * The list of laptops that came with a command; lines that name none are said.
 * @throws RequestError REQUEST_INVALID when there is nothing in it
 */
export async function listOf(call: Pick<Call, 'files' | 'note'>): Promise<LaptopList> {
  const list = await readLaptops(await onlyFile(call))
  for (const { line, reason } of list.refused) call.note(`refused: line ${line} ${reason}`)
  if (list.laptops.length + list.refused.length === 0) {
    throw new RequestError('REQUEST_INVALID', 'the list names no laptop', {
      hint: 'give CSV with a laptop a line, SERIAL,UUID or SCHOOL,SERIAL,UUID',
    })
  }
  return list
}

/**
 * Says where a list and a delegation have two uuids for a laptop: one of them is wrong, if only in the case of its
 * letters, and a laptop refuses what was signed for another. What is signed is what the list says.
 */
export function sayOtherUuids(
  { keyring }: Pick<Service, 'keyring'>,
  { note }: Pick<Call, 'note'>,
  laptops: readonly Laptop[],
): void {
  for (const { serial, uuid } of laptops) {
    const delegated = keyring.basis('lease', serial)?.uuid
    if (delegated !== undefined && delegated !== uuid)
      note(`${serial}: the list has another uuid than its delegation; this is signed for that of the list`)
  }
}

/**
 * A time to come that was typed; a date means the last second of that day, UTC.
 * @throws RequestError USAGE; UNAVAILABLE when it may have passed, but the clock cannot be trusted
 */
export async function endOf(typed: string, notary: Pick<Notary, 'now' | 'mustBeFree'>): Promise<Moment> {
  if (typed === '') {
    throw new RequestError('USAGE', 'it is not said when this ends', {
      hint: 'add --until with a date, such as --until 2027-03-31',
    })
  }
  const moment = momentOf(typed, '235959')
  if (moment === undefined) {
    throw new RequestError('USAGE', `"${typed}" is no time`, {
      hint: 'write a date as 2027-03-31, or a time as 20270331T120000Z',
    })
  }
  if (!hasPassed(moment, formatMoment(notary.now()))) return moment
  await notary.mustBeFree()
  throw new RequestError('USAGE', `${typed} has passed already`, { hint: 'name a time to come' })
}
