import type { DelegatedRole, HeldDelegations } from '../delegations/held.js'
import type { StoredKey, Vault } from '../keys/vault.js'
import type { Basis } from '../public.js'
import { hasPassed, type Moment, never } from '../wire/moment.js'

/** A basis, and how a signature is made on it. */
export interface Ground extends Basis {
  readonly signer: StoredKey
  /** The delegation that the signature goes behind: `sig02: ...`. None with a master key. */
  readonly chain?: string
}

/** Finds with what to sign for a laptop: a master key, or else this server's own and a delegation to it. */
export class Grounds {
  readonly #vault: Pick<Vault, 'signing' | 'list' | 'trusted' | 'isCompromised'>
  readonly #held: Pick<HeldDelegations, 'get' | 'all'>

  constructor(
    vault: Pick<Vault, 'signing' | 'list' | 'trusted' | 'isCompromised'>,
    held: Pick<HeldDelegations, 'get' | 'all'>,
  ) {
    this.#vault = vault
    this.#held = held
  }

  find(role: DelegatedRole, serial: string): Ground | undefined {
    const master = this.#vault.signing(role)
    if (master !== undefined) return { key: master.publicKey.id, until: never, version: 1, signer: master }
    const held = this.#held.get(role, serial)
    if (held === undefined || !this.#isTrusted(role, held.root)) return undefined
    if (held.through.some((id) => this.#vault.isCompromised(id))) return undefined
    const { key, until, uuid, chain } = held
    const signer = this.#own(key)
    return signer === undefined ? undefined : { key, until, uuid, version: 2, signer, chain }
  }

  /** How many laptops could be signed for at a time, and when the first of their delegations ends. */
  reach(role: DelegatedRole, at: Moment): 'all' | { laptops: number; firstEnd: Moment | undefined } {
    if (this.#vault.signing(role) !== undefined) return 'all'
    let laptops = 0
    let firstEnd: Moment | undefined
    for (const { role: its, serial, until } of this.#held.all()) {
      if (its !== role || hasPassed(until, at) || this.find(role, serial) === undefined) continue
      laptops += 1
      if (until !== never && (firstEnd === undefined || until < firstEnd)) firstEnd = until
    }
    return { laptops, firstEnd }
  }

  /** Laptops drop a chain at once when they do not know its first key; one that leaked must not be relied on either. */
  #isTrusted(role: DelegatedRole, id: string): boolean {
    return this.#vault.trusted(role).some((key) => key.id === id)
  }

  #own(id: string): StoredKey | undefined {
    return this.#vault
      .list()
      .find(
        ({ role, publicKey, state, hasPrivate }) =>
          role === 'server' && publicKey.id === id && state === 'active' && hasPrivate,
      )
  }
}
