import { asError, type Call, RequestError } from '../../../core/api.js'
import { parsePublic } from '../keys/pair.js'
import type { Laptop } from '../laptops.js'
import type { Service } from '../service.js'
import { readPlain } from '../verify/plain-file.js'
import { PublicKey } from '../wire/key.js'
import { formatMoment } from '../wire/moment.js'
import { authorityOnly } from './authority.js'
import { endOf, listOf, operator } from './input.js'
import { signForEach } from './many.js'
import { handOver } from './output.js'

type Delegate = Pick<Call, 'files' | 'note' | 'signal' | 'write' | 'deliver'> & {
  options: { key: string; school: string; role: 'lease' | 'oats'; until: string; to: string }
}

const dataError = 65
/** Milliseconds that a delegation counts, if not said. */
const year = 365 * 86_400_000

/** Bytes of a file that holds a key in whatever form, with room to spare. */
const largestKey = 64 << 10

/**
 * `keyring delegate LAPTOPS --key FILE [--until TIME]`: all delegations of a school, signed now or earlier.
 * @returns 65 when a laptop was refused
 */
export async function delegate(service: Service, call: Delegate): Promise<number> {
  authorityOnly(service, 'delegations')
  const { role, to, school } = call.options
  const isFixed = call.options.until !== ''
  const until = isFixed
    ? await endOf(call.options.until, service.notary)
    : formatMoment(new Date(service.notary.now().getTime() + year))
  const key = await readKey(call.options.key)
  const list = await listOf(call)
  const laptops = ofSchool(list.laptops, school)
  const wanted = { role, to: key, until, isFixed, by: operator }
  const { signed, refused } = await signForEach(call, laptops, (laptop) =>
    service.issuer.issue(laptop, wanted),
  )
  if (signed.length > 0)
    await handOver(
      call,
      to,
      signed.map(({ value }) => `${value.line}\n`),
    )
  const kept = signed.filter(({ value }) => value.wasKept).map(({ value }) => value.until)
  const ends = [...kept].sort()[0]
  const all = refused + list.refused.length
  call.note(
    `${signed.length - kept.length} signed until ${until}, ${kept.length} unchanged and fresh${ends === undefined ? '' : `, of which the first ends at ${ends}`}, ${all} refused`,
  )
  return all === 0 ? 0 : dataError
}

/** @throws RequestError when the list names no laptop of the school */
function ofSchool(laptops: readonly Laptop[], school: string): readonly Laptop[] {
  if (school === '') return laptops
  const wanted = school.trim().toLowerCase()
  const found = laptops.filter((laptop) => laptop.school?.toLowerCase() === wanted)
  if (found.length > 0) return found
  const why = laptops.some((laptop) => laptop.school !== undefined)
    ? 'no laptop of'
    : 'no schools, and so not'
  throw new RequestError('NOT_FOUND', `the list names ${why} "${school}"`, {
    hint: 'give a list with lines SCHOOL,SERIAL,UUID, and the school as it stands there',
  })
}

/** Reads a key that the server itself can read. @throws RequestError */
async function readKey(path: string): Promise<PublicKey> {
  if (path === '') {
    throw new RequestError('USAGE', 'it is not said to which key', {
      hint: "add --key with the school server's public key",
    })
  }
  const bytes = await readPlain(path, largestKey)
  try {
    const isText = bytes.subarray(0, 6).toString('latin1') === 'key01:'
    return isText ? PublicKey.fromKey01(bytes.toString('latin1')) : parsePublic(bytes)
  } catch (error) {
    throw new RequestError('REQUEST_INVALID', `${path} ${asError(error).message}`, {
      hint: `name the school server's public key: its .public file, or its "key01:" text`,
    })
  }
}
