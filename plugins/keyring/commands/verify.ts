import { asError, type Call, RequestError } from '../../../core/api.js'
import { readLaptops } from '../laptops.js'
import { judgeFile } from '../verify/file.js'
import { readPlain } from '../verify/plain-file.js'
import type { FileQuestion, ForLaptop } from '../verify/verdict.js'
import { PublicKey, publicLength } from '../wire/key.js'
import { isUuid, parseSerial } from '../wire/laptop.js'
import { formatMoment, never } from '../wire/moment.js'
import { momentOf } from './moment.js'

interface Options {
  readonly serial: string
  readonly uuid: string
  readonly laptops: string
  readonly at: string
  readonly trust: readonly string[]
  readonly delegate: string
  readonly nonce: string
  readonly data: string
}

type VerifyCall = Pick<Call, 'show' | 'signal'> & { args: { file: string }; options: Options }

const largestList = 64 << 20
const largestKeys = 64 << 10

/** `keyring verify FILE`: exit code 0 when all laptops that were asked for accept what is theirs in it, 1 when not. */
export async function run({ args: { file }, options, show, signal }: VerifyCall): Promise<number> {
  const question = await questionOf(options, signal)
  const { kind, found } = await judgeFile(file, question)
  // A laptop passes over signatures of a file by keys that it does not know; one that it knows is enough.
  const isBorne = (one: ForLaptop) =>
    isAccepted(one) || (options.data !== '' && one.verdict.verdict === 'no-match')
  const accepted = found.some(isAccepted) && found.every(isBorne)
  const verdicts = found.map(({ serial, verdict }) => ({
    ...(serial !== undefined && { serial }),
    ...verdict,
  }))
  show(found.map(lineOf), { file, kind, at: question.at, accepted, verdicts })
  return accepted ? 0 : 1
}

const isAccepted = ({ verdict: { verdict, unchecked } }: ForLaptop): boolean =>
  verdict === 'valid' && unchecked === undefined

/** `valid: SHC94700123: line 1 is signed by 6c4dc43e89a1, counts until 20300101T000000Z` */
function lineOf(one: ForLaptop): string {
  const { verdict, reason, expiry, unchecked } = one.verdict
  const word = verdict !== 'valid' ? 'refused' : isAccepted(one) ? 'valid' : 'undecided'
  const whose = one.serial === undefined ? '' : `${one.serial}: `
  const end = expiry === undefined ? '' : `, counts ${expiry === never ? 'for ever' : `until ${expiry}`}`
  return `${word}: ${whose}${reason}${end}${unchecked === undefined ? '' : `; not checked: ${unchecked}`}`
}

async function questionOf(options: Options, signal: AbortSignal): Promise<FileQuestion> {
  const { uuid, laptops, delegate, nonce, data } = options
  const serial = options.serial === '' ? undefined : parseSerial(options.serial)
  if (options.serial !== '' && serial === undefined)
    throw usage(`--serial ${options.serial} is no serial of a laptop`)
  if (uuid !== '' && !isUuid(uuid)) throw usage('--uuid is no uuid of a laptop')
  if (uuid !== '' && laptops !== '') throw usage('--uuid and --laptops cannot be given both')
  const at = options.at === '' ? formatMoment(new Date()) : momentOf(options.at, '000000')
  if (at === undefined) throw usage(`--at ${options.at} is neither a date nor a time YYYYMMDDThhmmssZ`)
  return {
    serial,
    uuid: said(uuid),
    uuids: laptops === '' ? undefined : await uuidsIn(laptops),
    at,
    trusted: await trustedIn(options.trust),
    delegate: delegate === '' ? undefined : await theKeyIn(delegate),
    nonce: said(nonce),
    data: said(data),
    signal,
  }
}

const said = (text: string): string | undefined => (text === '' ? undefined : text)

const usage = (message: string, hint = 'see "sugar-server keyring verify --help"'): RequestError =>
  new RequestError('USAGE', message, { hint })

async function uuidsIn(path: string): Promise<Map<string, string>> {
  const { laptops } = await readLaptops(await readPlain(path, largestList))
  return new Map(laptops.map(({ serial, uuid }) => [serial, uuid]))
}

async function trustedIn(paths: readonly string[]): Promise<PublicKey[]> {
  if (paths.length === 0)
    throw usage(
      'no key is trusted',
      "name the laptops' own with --trust FILE, .public or key01; it may be repeated",
    )
  return (await Promise.all(paths.map(keysIn))).flat()
}

async function theKeyIn(path: string): Promise<PublicKey> {
  const [key, again] = await keysIn(path)
  if (key === undefined || again !== undefined) throw usage(`${path} holds more than one key`)
  return key
}

/** The keys in a file: one as makekey writes it, or lines `key01: ...`. At least one. */
async function keysIn(path: string): Promise<PublicKey[]> {
  const bytes = await readPlain(path, largestKeys)
  try {
    if (bytes.length === publicLength) return [PublicKey.parse(bytes)]
    return bytes.toString('latin1').replace(/\n$/, '').split('\n').map(PublicKey.fromKey01)
  } catch (error) {
    throw usage(`${path} is no public key: it ${asError(error).message}`)
  }
}
