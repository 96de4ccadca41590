import { asError, RequestError } from '../../core/api.js'
import { takeDelegations } from './delegations/take.js'
import { parsePair, parsePublic } from './keys/pair.js'
import type {
  Basis,
  HeldDelegation,
  Intake,
  Keyring,
  LeaseAsk,
  OatsAsk,
  Role,
  RtcResetAsk,
} from './public.js'
import type { Service } from './service.js'
import type { PublicKey } from './wire/key.js'
import { formatMoment } from './wire/moment.js'

type Parts = Pick<Service, 'vault' | 'audit' | 'held' | 'grounds' | 'notary' | 'records'>

/** The keyring as other plugins see it. */
export class SchoolKeyring implements Keyring {
  readonly #parts: Parts
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  trusted(role: Role): readonly PublicKey[] {
    return this.#parts.vault.trusted(role)
  }

  isCompromised(key: string): boolean {
    return this.#parts.vault.isCompromised(key)
  }

  basis(role: 'lease' | 'oats', serial: string): Basis | undefined {
    const ground = this.#parts.grounds.find(role, serial)
    if (ground === undefined) return undefined
    const { key, until, uuid, version } = ground
    return uuid === undefined ? { key, until, version } : { key, until, uuid, version }
  }

  reach(role: 'lease' | 'oats'): number | 'all' {
    const { grounds, notary } = this.#parts
    const reach = grounds.reach(role, formatMoment(notary.now()))
    return reach === 'all' ? 'all' : reach.laptops
  }

  obstacle(): Promise<string | undefined> {
    return this.#parts.notary.obstacle()
  }

  now(): Date {
    return this.#parts.notary.now()
  }

  lease(ask: LeaseAsk): Promise<string> {
    return this.#parts.records.lease(ask)
  }

  resetClock(ask: RtcResetAsk): Promise<string> {
    return this.#parts.records.resetClock(ask)
  }

  oats(ask: OatsAsk): Promise<string> {
    return this.#parts.records.oats(ask)
  }

  delegations(): readonly HeldDelegation[] {
    return [...this.#parts.held.all()].map(({ role, serial, uuid, until }) => ({ role, serial, uuid, until }))
  }

  /** One import after the other. */
  takeDelegations(role: 'lease' | 'oats', text: string, by: string): Promise<Intake> {
    const taking = this.#turn.then(() => takeDelegations(this.#parts, { role, text, by }))
    this.#turn = taking.catch(() => undefined)
    return taking
  }

  async takeServerKey(pair: { private: Uint8Array; public: Uint8Array }, by: string): Promise<boolean> {
    const { vault, audit } = this.#parts
    const { id } = checkedPair(pair)
    const known = vault.list().find(({ publicKey }) => publicKey.id === id)
    const isOurs = known === undefined || known.role === 'server'
    if (isOurs && known?.hasPrivate === true) return false
    // First, so that what cannot be noted is not taken. What is for another role is refused.
    if (isOurs) await audit.append({ by, what: 'keyring import', key: id })
    return (await vault.addPair('server', pair.private)).isNew
  }
}

/** @returns the public half @throws RequestError when the halves do not belong together, or are no keys */
function checkedPair(pair: { private: Uint8Array; public: Uint8Array }): PublicKey {
  const half = <T>(which: string, parse: () => T): T => {
    try {
      return parse()
    } catch (error) {
      throw new RequestError('REQUEST_INVALID', `the ${which} key ${asError(error).message}`)
    }
  }
  const publicKey = half('public', () => parsePublic(pair.public))
  const owner = half('private', () => parsePair(pair.private)).publicKey
  if (owner.equals(publicKey)) return publicKey
  throw new RequestError('REQUEST_INVALID', 'the public and the private key do not belong together')
}
