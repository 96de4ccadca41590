import { type Awaitable, asError, type Logger, RequestError } from '../../../core/api.js'
import type { Keyring, Moment } from '../../keyring/public.js'
import type { Visits } from '../roll/visits.js'
import type { Answer, Prospect } from './answer.js'
import type { Order, Plan } from './plan.js'
import type { Planner } from './planner.js'

/** A lease for a stick, or why there is none. */
export type Unlocker =
  | { readonly line: string; readonly until: Moment; readonly from: 'stored' | 'fresh' }
  | { readonly why: string }

const signedHere = 'signed here'
const stolen: Answer = { kind: 'stolen', why: 'it is stolen' }

/**
 * Which lease a laptop gets: none when it is stolen, otherwise the one that ends last among the ready ones, what was
 * signed for it before and what can be signed; one whose key is not known here, when there is no other. So a laptop that
 * asks a hundred times costs one signature.
 */
export class Decision {
  readonly #planner: Planner
  readonly #keyring: Keyring | undefined
  readonly #visits: Pick<Visits, 'keep'>
  readonly #log: Logger
  readonly #underWay = new Map<string, Promise<Answer>>()

  /** @param visits keeps what is signed */
  constructor(planner: Planner, keyring: Keyring | undefined, visits: Pick<Visits, 'keep'>, log: Logger) {
    this.#planner = planner
    this.#keyring = keyring
    this.#visits = visits
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
    const plan = this.#planner.plan(serial, this.now())
    const { order } = plan
    if (order === undefined) return withoutSigning(plan)
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
    if (obstacle !== undefined) return withoutSigning({ ...plan, lacks: obstacle })
    return { kind: 'lease', until: order.expiry, why: signedHere }
  }

  /**
   * A lease for a stick: fresh, ending so many days from now to the minute, where that can be signed; else what is there.
   * Never for a stolen laptop.
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
    if (plan.best !== undefined) return { line: plan.best.line, until: plan.best.until, from: 'stored' }
    return { why: reason({ ...plan, lacks }) }
  }

  async #sign(serial: string, order: Order, plan: Plan): Promise<Answer> {
    try {
      const line = await this.#lease(serial, order)
      // It may have been stolen while the signature was made.
      if (this.#planner.isStolen(serial)) return stolen
      this.#visits.keep(serial, { line, until: order.expiry })
      return { kind: 'lease', line, until: order.expiry, from: 'fresh', why: signedHere }
    } catch (error) {
      const lacks = this.#excuse(error)
      return this.#planner.isStolen(serial) ? stolen : withoutSigning({ ...plan, lacks })
    }
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

function withoutSigning(plan: Plan): Answer {
  if (plan.isStolen === true) return stolen
  if (plan.best === undefined) return { kind: 'nothing', why: reason(plan) }
  const { line, until, isOwn, isStrange } = plan.best
  const which = `${isOwn ? `${signedHere} before` : 'the ready one'}${isStrange ? ', of a key that is not known here' : ''}`
  return { kind: 'lease', line, until, from: isOwn ? 'fresh' : 'stored', why: `${which}; ${plan.lacks}` }
}

const reason = ({ missing, lacks }: Plan): string => `no lease: ${missing}, and ${lacks}`
