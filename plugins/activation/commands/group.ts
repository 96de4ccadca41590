import { type Call, RequestError } from '../../../core/api.js'
import type { Service } from '../service.js'

type GroupCall = Pick<Call, 'print'> & {
  readonly args: { readonly name: string }
  readonly options: { readonly days: string }
}

/** `activation group NAME --days N`: how long the leases of a group, or of a school, last. */
export async function group({ roll }: Service, { args, options, print }: GroupCall): Promise<void> {
  const { name } = args
  if (options.days === '') throw new RequestError('USAGE', 'nothing is to be set', { hint: 'say --days' })
  if (!isName(name))
    throw new RequestError('USAGE', `"${name}" cannot be the name of a group`, {
      hint: 'take 1 to 100 characters, without control characters, and not the word "none"',
    })
  const days = Number(options.days)
  if (days === 0 && roll.group(name) === undefined)
    throw new RequestError('NOT_FOUND', `there is no group ${name}`)
  await roll.setGroup(name, days === 0 ? undefined : days)
  const members = [...roll.all()].filter(
    ({ laptop }) => laptop?.group === name || laptop?.school === name,
  ).length
  print(
    days === 0
      ? `${name}: no number of its own any more, ${members} laptops`
      : `${name}: leases of ${days} days, ${members} laptops`,
  )
}

const isName = (text: string): boolean => /^[^\x00-\x1f\x7f]{1,100}$/.test(text) && text !== 'none'
