import type Router from 'koa-router'
import { RequestError, readText } from '../../../core/api.js'
import {
  type Canonical,
  formatCanonical,
  formatMoment,
  type Keyring,
  parseMoment,
  parseSerial,
} from '../../keyring/public.js'
import type { Answer } from '../decision/answer.js'
import { Pace } from '../decision/pace.js'

/** Bytes of a question: far more than a serial, a nonce and what other clients add. */
const bodyLimit = 4096

/** A laptop asks once a day, and again soon when the answer was lost; a school asks all at once. */
const limits = { each: 8, seconds: 10, burst: 2000, perSecond: 50 }

/** Serials that nobody has heard of are answered apart, so that who makes them up takes no turn from a laptop. */
const strangerLimits = { ...limits, burst: 200, perSecond: 5 }

/** What the answers of OATS are made from. */
export interface Matters {
  readonly keyring: Keyring | undefined
  /** Texts that laptops are told besides, by name. */
  readonly hints: Readonly<Record<string, string>>
  now(): Date
  /** Whether some list or lease names this laptop. */
  isKnown(serial: string): boolean
  isStolen(serial: string): boolean
  /** How many days a lease of this laptop lasts, and when the last one ends that it got. */
  lastLease(serial: string): { readonly days: number; readonly until: string | undefined }
  /** Decides on a lease, and notes the visit. */
  answer(serial: string): Promise<Answer>
  /** Notes that a laptop asked, and needed no lease. */
  seen(serial: string): void
}

/**
 * Theft deterrence over HTTP (docs/reference/protocols.md: Anti-theft, OATS): a signed answer that holds the laptop's
 * own number, so that nobody can give an old one again.
 */
export function serveOats(router: Router, matters: Matters): void {
  const [pace, strangers] = [new Pace(limits), new Pace(strangerLimits)]
  router.post('/antitheft/1/', async (ctx) => {
    const { serial, nonce } = readQuestion(await readText(ctx, bodyLimit))
    const { keyring } = matters
    const basis = keyring?.basis('oats', serial)
    if (keyring === undefined || basis === undefined) throw new RequestError('NOT_FOUND', notHere(keyring))
    const isOurs = basis.uuid !== undefined || matters.isKnown(serial)
    if (!(isOurs ? pace : strangers).take(serial)) {
      ctx.set('Retry-After', String(limits.seconds))
      throw new RequestError('TOO_MANY', `too much was asked for; ask again in ${limits.seconds} s`)
    }
    const wasStolen = matters.isStolen(serial)
    const response = formatCanonical(['oatc-resp', 1, await contentOf(serial, nonce, matters)])
    const signature = await keyring.oats({ serial, response, by: 'activation' })
    // It may hold a lease, which must not leave any more.
    if (matters.isStolen(serial) !== wasStolen)
      throw new RequestError('UNAVAILABLE', `what is known of ${serial} has just changed; ask again`)
    // Put together from texts, since what laptops verify is the very text that stands in the answer.
    const signed = formatCanonical(['sig', 1, [`${signature}\n`]])
    // It is no JSON: the line ends in it are raw.
    ctx.type = 'text/plain'
    ctx.body = `["oatc-signed-resp",1,[${response},${signed}]]`
  })
}

const notHere = (keyring: Keyring | undefined): string =>
  keyring === undefined
    ? 'nothing is signed here: there is no keyring'
    : 'nothing can be signed for this laptop here: there is neither a key nor a delegation of OATS for it'

/** @throws RequestError REQUEST_INVALID */
export function readQuestion(body: string): { serial: string; nonce: string } {
  if (!/^[\x21-\x7e]*$/.test(body)) throw invalid('the body is no form of printable ASCII characters')
  const form = new URLSearchParams(body)
  const field = (name: string): string => {
    const [value, ...more] = form.getAll(name)
    if (value === undefined || more.length > 0) throw invalid(`there must be one field "${name}"`)
    return value
  }
  const serial = parseSerial(field('serialnum'))
  if (serial === undefined) throw invalid('serialnum must be three letters with eight hex digits behind them')
  if (field('version') !== '1') throw invalid('version must be 1')
  const nonce = field('nonce')
  if (!/^[\x20-\x7e]{1,64}$/.test(nonce)) throw invalid('nonce must have 1 to 64 printable ASCII characters')
  return { serial, nonce }
}

const invalid = (message: string): RequestError => new RequestError('REQUEST_INVALID', message)

async function contentOf(serial: string, nonce: string, matters: Matters): Promise<Canonical> {
  const common = { ...matters.hints, nonce, time: formatMoment(matters.now()) }
  if (!matters.isStolen(serial) && !isDue(matters.lastLease(serial), matters.now())) {
    matters.seen(serial)
    return common
  }
  const given = await matters.answer(serial)
  if (given.kind === 'stolen') return { ...common, stolen: true }
  return given.kind === 'lease' ? { ...common, lease: `${given.line}\n` } : common
}

/** Whether less than half of a laptop's lease is left. Of one that is not known it may be. */
function isDue({ days, until }: ReturnType<Matters['lastLease']>, now: Date): boolean {
  if (until === undefined) return true
  const end = parseMoment(until)
  return end !== undefined && end.getTime() - now.getTime() < (days * 86_400_000) / 2
}
