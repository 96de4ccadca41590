import { asError, type Logger, RequestError, type SugarError } from '../../../core/api.js'
import type { Audit } from '../audit/audit.js'
import type { ClockGuard } from '../clock/guard.js'
import type { StoredKey } from '../keys/vault.js'
import type { Moment } from '../wire/moment.js'
import type { Hash } from '../wire/signature.js'
import { Places } from './places.js'
import type { Signer } from './signer.js'
import { isVerified } from './verified.js'

/** Signatures that may wait. A whole school fits; beyond that laptops are told to come again. */
const mostWaiting = 4096

/** Reading hex digits stops at the first that is none: what stands behind it would leave unseen. */
const form = /^[0-9a-f]{512}$/

/** A signature that is wanted, and what the audit log will say of it. */
export interface Order {
  /** By its tag: `act01`, `sig01 os`. */
  readonly what: string
  readonly by: string
  readonly key: StoredKey
  readonly hash: Hash
  readonly payload: Buffer
  readonly serial?: string
  readonly expiry?: Moment
}

export interface Desk {
  readonly signer: Signer
  readonly audit: Pick<Audit, 'append'>
  readonly guard: Pick<ClockGuard, 'obstacle' | 'saw' | 'now'>
  readonly log: Logger
  /** Why the keys and the audit log are not to be used now, if so. */
  readonly away?: () => string | undefined
}

/**
 * The one place where signatures are made. Each goes the same way: may the clock be trusted, sign, verify, may it
 * still, and it leaves once the audit log has it on the disk.
 */
export class Notary {
  readonly #desk: Desk
  readonly #places: Places
  readonly #underWay = new Map<string, Promise<string>>()
  #trouble: string | undefined

  constructor(desk: Desk) {
    this.#desk = desk
    this.#places = new Places(desk.signer.places, mostWaiting)
  }

  /** What signs, and why it cannot, if so. */
  get driver(): Pick<Signer, 'name' | 'obstacle'> {
    return this.#desk.signer
  }

  /** The time by which expiries are judged: what the clock says, or the last that could be believed. */
  now(): Date {
    return this.#desk.guard.now()
  }

  /** Why nothing can be signed now, if so. */
  async obstacle(): Promise<string | undefined> {
    return this.#desk.away?.() ?? this.#desk.signer.obstacle ?? (await this.#desk.guard.obstacle())
  }

  /** @throws RequestError UNAVAILABLE when nothing can be signed now */
  async mustBeFree(): Promise<void> {
    const obstacle = await this.obstacle()
    if (obstacle !== undefined) throw new RequestError('UNAVAILABLE', `nothing is signed now: ${obstacle}`)
  }

  /** What went wrong with the newest signature, if anything. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /**
   * Two who ask for the same at the same time get the same: a laptop that is not patient asks several times.
   * @returns 512 hex digits
   * @throws RequestError UNAVAILABLE
   */
  signature(order: Order): Promise<string> {
    const { what, by, key, hash, payload } = order
    // Files are long, and signed by nobody twice at once.
    if (order.serial === undefined) return this.#make(order)
    const name = `${what} ${by} ${key.publicKey.id} ${hash} ${payload.toString('latin1')}`
    const known = this.#underWay.get(name)
    if (known !== undefined) return known
    const making = this.#make(order).finally(() => this.#underWay.delete(name))
    this.#underWay.set(name, making)
    return making
  }

  async #make(order: Order): Promise<string> {
    await this.mustBeFree()
    const signature = await this.#places.within(() => this.#sign(order))
    // It may have waited for long. A line of a wrong time in the audit log would hold up all that come after.
    await this.mustBeFree()
    await this.#enter(order)
    this.#trouble = undefined
    return signature
  }

  async #sign({ what, serial, key, hash, payload }: Order): Promise<string> {
    const { signer } = this.#desk
    const { publicKey } = key
    let failure: unknown
    try {
      const signature = await signer.sign(hash, payload, key)
      if (
        form.test(signature) &&
        (await isVerified(publicKey, { hash, key: publicKey.id, signature }, payload))
      )
        return signature
      failure = new Error(`${signer.name} made a signature that does not fit its key`)
    } catch (error) {
      failure = error
    }
    throw this.#failed(`nothing could be signed for ${what}`, failure, { serial, key: publicKey.id })
  }

  /** A signature that is in no log must not leave. */
  async #enter({ what, by, serial, key, expiry }: Order): Promise<void> {
    const { audit, guard } = this.#desk
    try {
      await Promise.all([
        guard.saw(this.now()),
        audit.append({ by, what, serial, key: key.publicKey.id, expiry }),
      ])
    } catch (error) {
      throw this.#failed('what was signed cannot be noted in the audit log', error, { serial })
    }
  }

  #failed(message: string, cause: unknown, facts: object): SugarError {
    this.#trouble = `${message}: ${asError(cause).message}`
    this.#desk.log.error({ err: cause, ...facts }, message)
    return new RequestError('UNAVAILABLE', message, {
      hint: 'look into the log of the server, and ask again when that is mended',
      cause,
    })
  }
}
