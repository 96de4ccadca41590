import { createHash } from 'node:crypto'
import { RequestError } from '../../../core/api.js'
import type { StoredKey, Vault } from '../keys/vault.js'
import type { LeaseAsk, OatsAsk, Role, RtcResetAsk } from '../public.js'
import type { PublicKey } from '../wire/key.js'
import { isUuid, parseSerial } from '../wire/laptop.js'
import {
  formatMoment,
  hasPassed,
  isExpiry,
  isLater,
  type Moment,
  never,
  parseMoment,
} from '../wire/moment.js'
import {
  delegationPayload,
  developerPayload,
  leasePayload,
  linkPayload,
  rtcPayload,
} from '../wire/payload.js'
import { formatLine } from '../wire/record.js'
import {
  digests,
  formatSignature,
  type Hash,
  type Link,
  parseSignature,
  type Signature,
} from '../wire/signature.js'
import type { Ground, Grounds } from './ground.js'
import type { Notary, Order } from './notary.js'

/** Links of a delegation, at most: a lease adds one, and a laptop reads lines with seven. */
export const mostDelegations = 6

/** Bytes of an answer of OATS, at most. */
const longestResponse = 1 << 16

export interface DelegationAsk {
  readonly role: 'lease' | 'oats'
  readonly serial: string
  readonly uuid: string
  /** The school server's key. */
  readonly to: PublicKey
  readonly expiry: Moment
  readonly by: string
}

type Deed = Pick<Order, 'what' | 'by'> & { readonly serial: string; readonly expiry: Moment }

/**
 * Everything that is signed, as it goes over the wire. Only these forms are: a text of somebody's choice could be a
 * lease.
 */
export class Records {
  readonly #notary: Notary
  readonly #grounds: Grounds
  readonly #vault: Pick<Vault, 'signing'>

  constructor(notary: Notary, grounds: Grounds, vault: Pick<Vault, 'signing'>) {
    this.#notary = notary
    this.#grounds = grounds
    this.#vault = vault
  }

  /** @returns a line `act01: ...` without its line end @throws RequestError */
  async lease({ serial, uuid, expiry, by }: LeaseAsk): Promise<string> {
    checkLaptop(serial, uuid)
    const ground = await this.#ground('lease', serial, expiry)
    const deed: Deed = { what: 'act01', serial, expiry, by }
    const signature = await this.#signed(ground, deed, leasePayload(serial, uuid, expiry))
    return formatLine({ kind: 'lease', serial, expiry, signature })
  }

  /** @returns a line `rtc01: ...` without its line end @throws RequestError */
  async resetClock({ serial, uuid, current, nonce, by }: RtcResetAsk): Promise<string> {
    checkLaptop(serial, uuid)
    if (parseMoment(current) === undefined)
      throw new RequestError('REQUEST_INVALID', `"${current}" is no time YYYYMMDDThhmmssZ`)
    if (!/^\d{10}$/.test(nonce))
      throw new RequestError('REQUEST_INVALID', `"${nonce}" is no nonce of 10 digits`)
    const ground = await this.#ground('lease', serial)
    const next = formatMoment(this.#notary.now())
    const inner = rtcPayload(serial, uuid, { current, nonce, next })
    const signature = await this.#signed(ground, { what: 'rtc01', serial, expiry: never, by }, inner)
    return formatLine({ kind: 'rtcreset', serial, current, nonce, next, signature })
  }

  /** @returns `sig01: ...` or `sig02: ...` without its line end @throws RequestError */
  async oats({ serial, response, by }: OatsAsk): Promise<string> {
    checkSerial(serial)
    // Server keys sign leases too: what begins in any other way might be taken for one.
    if (
      response.length > longestResponse ||
      !response.startsWith('["oatc-resp",1,{') ||
      !response.endsWith('}]')
    )
      throw new RequestError('REQUEST_INVALID', 'what is to be signed is no answer ["oatc-resp",1,{...}]')
    const ground = await this.#ground('oats', serial)
    return formatSignature(
      await this.#signed(ground, { what: 'oatc-resp', serial, expiry: ground.until, by }, response),
    )
  }

  /** @returns `sig02: ...` without its line end @throws RequestError */
  async delegation({ role, serial, uuid, to, expiry, by }: DelegationAsk): Promise<string> {
    checkLaptop(serial, uuid)
    const ground = await this.#ground(role, serial, expiry)
    const links = linksOf(ground)
    if (links.length >= mostDelegations)
      throw refused(`the delegation for ${serial} has ${links.length} links, and no more can go behind it`)
    const deed: Deed = { what: `del01 ${role}`, serial, expiry, by }
    const link = await this.#link(ground, deed, Buffer.from(delegationPayload(serial, expiry, to), 'latin1'))
    return formatSignature({ version: 2, links: [...links, link] })
  }

  /** @returns a line `dev01: ...` without its line end @throws RequestError */
  async developerKey({ serial, uuid, by }: { serial: string; uuid: string; by: string }): Promise<string> {
    checkLaptop(serial, uuid)
    const key = this.#master('developer')
    const payload = Buffer.from(developerPayload(serial, uuid), 'latin1')
    const order: Order = { what: 'dev01', by, key, hash: 'sha256', payload, serial, expiry: never }
    const mark = { hash: order.hash, key: key.publicKey.id, signature: await this.#notary.signature(order) }
    return formatLine({ kind: 'developer', serial, signature: { version: 1, mark } })
  }

  /** @returns `sig01: ...` over a file, without its line end @throws RequestError */
  async file(
    bytes: Buffer,
    { role, hash, by }: { role: 'os' | 'fs' | 'fw'; hash: Hash; by: string },
  ): Promise<string> {
    checkHash(hash)
    const key = this.#master(role)
    const signature = await this.#notary.signature({ what: `sig01 ${role}`, by, key, hash, payload: bytes })
    return formatSignature({ version: 1, mark: { hash, key: key.publicKey.id, signature } })
  }

  /** With a master key a sig01, which every laptop reads; else the delegation and one link more. */
  async #signed(ground: Ground, deed: Deed, inner: string): Promise<Signature> {
    if (ground.chain !== undefined) {
      const payload = Buffer.from(linkPayload(deed.serial, deed.expiry, inner))
      return { version: 2, links: [...linksOf(ground), await this.#link(ground, deed, payload)] }
    }
    const { hash, key, signature } = await this.#link(ground, deed, Buffer.from(inner))
    return { version: 1, mark: { hash, key, signature } }
  }

  async #link({ signer, chain }: Ground, deed: Deed, payload: Buffer): Promise<Link> {
    const { publicKey } = signer
    const hash = 'sha256'
    const signature = await this.#notary.signature({ ...deed, key: signer, hash, payload })
    // A laptop knows only the first key, and takes that by its id.
    return { hash, key: chain === undefined ? publicKey.id : publicKey.hex, expiry: deed.expiry, signature }
  }

  /** @param expiry what is to be signed should count so long */
  async #ground(role: 'lease' | 'oats', serial: string, expiry?: Moment): Promise<Ground> {
    const ground = this.#grounds.find(role, serial)
    if (ground === undefined) {
      throw refused(`there is no ${role} key here, and no delegation for ${serial} that counts`, {
        hint: `have the authority delegate it, and take that over: "sugar-server keyring take-delegations FILE --role ${role}"`,
      })
    }
    const { until } = ground
    const now = formatMoment(this.#notary.now())
    // By a clock that cannot be trusted nothing has.
    if ([until, expiry ?? never].some((end) => hasPassed(end, now))) await this.#notary.mustBeFree()
    if (hasPassed(until, now)) throw refused(`the delegation for ${serial} ended at ${until}`)
    if (expiry === undefined) return ground
    if (!isExpiry(expiry))
      throw new RequestError('REQUEST_INVALID', `"${expiry}" is no time YYYYMMDDThhmmssZ`)
    if (hasPassed(expiry, now)) throw refused(`${expiry} has passed already`)
    if (isLater(expiry, until)) throw refused(`${expiry} is beyond ${until}, when the delegation ends`)
    return ground
  }

  #master(role: Role): StoredKey {
    const key = this.#vault.signing(role)
    if (key !== undefined) return key
    throw refused(`there is no active key to sign as ${role}`, {
      hint: `import its private half: "sugar-server keyring import KEY.private --role ${role}"`,
    })
  }
}

function linksOf({ chain }: Ground): readonly Link[] {
  if (chain === undefined) return []
  const signature = parseSignature(chain)
  if (signature.version === 2) return signature.links
  throw new TypeError('a delegation is no sig02')
}

function checkSerial(serial: string): void {
  if (parseSerial(serial) !== serial)
    throw new RequestError('REQUEST_INVALID', `"${serial}" is no serial of a laptop`)
}

function checkLaptop(serial: string, uuid: string): void {
  checkSerial(serial)
  if (!isUuid(uuid)) throw new RequestError('REQUEST_INVALID', `the uuid of ${serial} is none`)
}

/** Systems may have an OpenSSL that has given rmd160 up. */
function checkHash(hash: Hash): void {
  try {
    createHash(digests[hash])
  } catch (cause) {
    throw new RequestError('UNAVAILABLE', `the OpenSSL of this system knows no ${hash}`, {
      hint: 'have it load its legacy provider, or sign on another system',
      cause,
    })
  }
}

const refused = (message: string, detail?: { hint: string }): RequestError =>
  new RequestError('REFUSED', message, detail)
