import { type Awaitable, asError, type Logger, RequestError } from '../../core/api.js'
import { isLater, type Keyring, type Moment } from '../keyring/public.js'
import type { Kept } from './documents.js'
import type { Order, Plan, Planner } from './plan.js'

/** What a laptop that asks is given. `why` is for people, and holds no secret. */
export type Answer =
  | {
      readonly kind: 'lease'
      /** Without a line end. */
      readonly line: string
      readonly until: Moment
      readonly from: 'stored' | 'fresh'
      readonly why: string
    }
  | { readonly kind: 'stolen'; readonly why: string }
  | { readonly kind: 'nothing'; readonly why: string }

/** What an answer would be. */
export interface Prospect {
  readonly kind: Answer['kind']
  readonly until?: Moment
  readonly why: string
}

/** A lease for a stick, or why there is none. */
export type Unlocker =
  | { readonly line: string; readonly until: Moment; readonly from: 'stored' | 'fresh' }
  | { readonly why: string }

const signedHere = 'signed here'
const stolen: Answer = { kind: 'stolen', why: 'it is stolen' }

interface Signed extends Kept {
  readonly key: string
  readonly uuid: string
}

/**
 * Which lease a laptop gets: none when it is stolen, otherwise the one that ends last among the ready ones and what can
 * be signed; a ready one whose key is not known here, when there is no other. What was signed is given again while the
 * same would be signed, or nothing can be, so that a laptop that asks a hundred times costs one signature.
 */
export class Decision {
  readonly #planner: Planner
  readonly #keyring: Keyring | undefined
  readonly #log: Logger
  readonly #signed = new Map<string, Signed>()
  readonly #underWay = new Map<string, Promise<Answer>>()

  constructor(planner: Planner, keyring: Keyring | undefined, log: Logger) {
    this.#planner = planner
    this.#keyring = keyring
    this.#log = log
  }

  /** The time by which leases are judged. */
  now(): Date {
    return this.#planner.now()
  }

  /** Does not reject: what cannot be signed is not given. At once, where nothing has to be signed. */
  answer(serial: string): Awaitable<Answer> {
    const underWay = this.#underWay.get(serial)
    if (underWay !== undefined) return underWay
    const now = this.now()
    const plan = this.#planner.plan(serial, now)
    const { order } = plan
    if (order === undefined) return withoutSigning(plan)
    const signed = this.#signed.get(serial)
    if (
      signed !== undefined &&
      isFor(signed, order) &&
      this.#planner.isGood(serial, signed, this.#planner.momentOf(now))
    )
      return fresh(signed)
    const signing = this.#sign(serial, order, plan).finally(() => this.#underWay.delete(serial))
    this.#underWay.set(serial, signing)
    return signing
  }

  /** What answer() would be, without a signature. */
  async prospect(serial: string): Promise<Prospect> {
    const plan = this.#planner.plan(serial, this.now())
    const { order } = plan
    if (order === undefined) return withoutSigning(plan)
    const obstacle = await this.#keyring?.obstacle()
    if (obstacle !== undefined) return this.#unsigned(serial, order, { ...plan, lacks: obstacle })
    return { kind: 'lease', until: order.expiry, why: signedHere }
  }

  /**
   * A lease for a stick: fresh, ending so many days from now to the minute, where that can be signed; else the ready
   * one. Never for a stolen laptop.
   */
  async unlocker(serial: string, days: number): Promise<Unlocker> {
    const now = this.now()
    const plan = this.#planner.plan(serial, now)
    if (plan.isStolen === true) return { why: stolen.why }
    const order = this.#planner.order(serial, now, days)
    let lacks = plan.lacks
    if (order !== undefined) {
      const line = await this.#lease(serial, order).catch((error: unknown) => {
        lacks = this.#excuse(error)
      })
      if (this.#planner.isStolen(serial)) return { why: stolen.why }
      if (line !== undefined) return { line, until: order.expiry, from: 'fresh' }
    }
    if (plan.stored !== undefined) return { ...plan.stored, from: 'stored' }
    return { why: reason({ ...plan, lacks }) }
  }

  async #sign(serial: string, order: Order, plan: Plan): Promise<Answer> {
    try {
      const line = await this.#lease(serial, order)
      // It may have been stolen while the signature was made.
      if (this.#planner.isStolen(serial)) return stolen
      const signed = { line, until: order.expiry, key: order.key, uuid: order.uuid }
      this.#signed.set(serial, signed)
      return fresh(signed)
    } catch (error) {
      const lacks = this.#excuse(error)
      return this.#planner.isStolen(serial) ? stolen : this.#unsigned(serial, order, { ...plan, lacks })
    }
  }

  /** What there is when an order cannot be signed now. */
  #unsigned(serial: string, order: Order, plan: Plan): Answer {
    const before = this.#signedBefore(serial, order, plan)
    if (before === undefined) return withoutSigning(plan)
    return { ...fresh(before), why: `${signedHere} before; ${plan.lacks}` }
  }

  /** What was signed before, where it is no more than what would be signed now, and better than the ready one. */
  #signedBefore(
    serial: string,
    { uuid, key, expiry }: Order,
    { stored, isStrange }: Plan,
  ): Signed | undefined {
    const signed = this.#signed.get(serial)
    if (signed === undefined || signed.uuid !== uuid || signed.key !== key) return undefined
    if (isLater(signed.until, expiry) || !this.#planner.isGood(serial, signed, this.#planner.moment()))
      return undefined
    const isBest = stored === undefined || isStrange === true || isLater(signed.until, stored.until)
    return isBest ? signed : undefined
  }

  async #lease(serial: string, { uuid, expiry }: Order): Promise<string> {
    if (this.#keyring === undefined) throw new RequestError('REFUSED', 'there is no keyring')
    return this.#keyring.lease({ serial, uuid, expiry, by: 'activation' })
  }

  /** Why nothing was signed, in words. What the keyring did not mean to say is for the log. */
  #excuse(error: unknown): string {
    if (error instanceof RequestError) return error.message
    this.#log.error({ err: asError(error) }, 'a lease could not be signed')
    return 'nothing can be signed: the log says why'
  }
}

const isFor = (signed: Signed, { expiry, key, uuid }: Order): boolean =>
  signed.until === expiry && signed.key === key && signed.uuid === uuid

const fresh = ({ line, until }: Signed): Answer & { readonly kind: 'lease' } => ({
  kind: 'lease',
  line,
  until,
  from: 'fresh',
  why: signedHere,
})

function withoutSigning(plan: Plan): Answer {
  if (plan.isStolen === true) return stolen
  if (plan.stored === undefined) return { kind: 'nothing', why: reason(plan) }
  const { line, until } = plan.stored
  const which = plan.isStrange === true ? 'the ready one, of a key that is not known here' : 'the ready one'
  return { kind: 'lease', line, until, from: 'stored', why: `${which}; ${plan.lacks}` }
}

const reason = ({ missing, lacks }: Plan): string => `no lease: ${missing}, and ${lacks}`
