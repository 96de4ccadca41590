import { type Call, RequestError } from '../../../core/api.js'
import { formatBundle, parseSerial } from '../../keyring/public.js'
import { activity } from '../export/activity.js'
import { type MadeOut, unlock } from '../export/leases.js'
import { stolenOf } from '../export/stolen.js'
import { everyone } from '../roll/everyone.js'
import type { Service } from '../service.js'

const dataError = 65

type Export = Pick<Call, 'print' | 'note' | 'write' | 'deliver' | 'signal'> & {
  args: { what: string }
  options: { laptops: string; days: number; bundle: boolean; to: string }
}

/**
 * `activation export leases|stolen|activity`
 * @returns 65 when one of the laptops that were named has no lease
 */
export async function exportFile(service: Service, call: Export): Promise<number> {
  const { what } = call.args
  if (what === 'leases') return exportLeases(service, call)
  if (what !== 'stolen' && what !== 'activity')
    throw new RequestError('USAGE', `"${what}" is none of leases, stolen and activity`)
  if (call.options.laptops !== '' || call.options.bundle)
    throw new RequestError('USAGE', `--laptops and --bundle are for leases, not for ${what}`)
  if (what === 'stolen') {
    const thefts = stolenOf(service.roll)
    await hand(call, thefts.map(({ serial }) => `${serial}\n`).join(''), `${thefts.length} stolen laptops`)
  } else await hand(call, activity(service), 'when laptops asked')
  return 0
}

async function exportLeases(service: Service, call: Export): Promise<number> {
  const { options, note, signal } = call
  const named = namedIn(service, options.laptops)
  const serials = named ?? [...everyone(service.sources)].map(({ serial }) => serial)
  const { leases, without } = await unlock(service, [...new Set(serials)].sort(), {
    ...{ days: options.days, signal },
    progress: (done) => done % progressEvery === 0 && note(`${done} of ${serials.length} laptops`),
  })
  for (const { serial, why } of without) note(`left out: ${serial}: ${why}`)
  if (leases.length === 0)
    throw new RequestError('NOT_FOUND', 'there is no lease to write', {
      hint: 'import leases, delegations or a list with uuids: "activation list" shows what is known',
    })
  const ready = leases.filter(({ isReady }) => isReady).length
  if (ready > 0) note(`${ready} of them were there already, and last as long as they were made for`)
  const text = options.bundle ? bundleOf(leases) : leases.map(({ line }) => `${line}\n`).join('')
  await hand(call, text, `${leases.length} leases`)
  return named === undefined || without.length === 0 ? 0 : dataError
}

/** A multiple of how many are made out at once. */
const progressEvery = 3200

const bundleOf = (leases: readonly MadeOut[]): string =>
  formatBundle(new Map(leases.map(({ serial, line }) => [serial, `${line}\n`])))

/** The laptops that were named, if any. @throws RequestError for one that is not known */
function namedIn(service: Service, text: string): string[] | undefined {
  const words = text.split(/[\s,]+/).filter((word) => word !== '')
  if (words.length === 0) return undefined
  const known = new Set([...everyone(service.sources)].map(({ serial }) => serial))
  return words.map((word) => {
    const serial = parseSerial(word)
    if (serial !== undefined && known.has(serial)) return serial
    throw new RequestError('NOT_FOUND', `no laptop ${word} is known`, {
      hint: '"activation list" shows which are; import a list that names it',
    })
  })
}

async function hand({ options, write, deliver, print }: Export, text: string, what: string): Promise<void> {
  if (options.to === '') {
    write(text)
    return
  }
  await deliver({ to: options.to, form: 'file' }, whole(text))
  print(`${options.to}: ${what}`)
}

async function* whole(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}
