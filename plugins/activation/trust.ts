import { asError, type Collection, each, type Logger } from '../../core/api.js'
import type { Keyring, PublicKey } from '../keyring/public.js'
import type { Signer } from './documents.js'

const none: readonly PublicKey[] = []

/**
 * Which keys of leases laptops accept, and which they did once. The keyring names those that it trusts; it forgets no
 * key, so one that it named before and names no more is compromised. One that it never named may be another key of the
 * same authority, which nobody has imported yet.
 */
export class Trust {
  readonly #store: Collection<Signer>
  readonly #keyring: Keyring | undefined
  readonly #log: Logger
  #keys = none
  #ids = new Set<string>()
  /** Ids of all keys that were ever trusted here. */
  readonly #once = new Set<string>()
  readonly #unwritten = new Set<string>()
  #saving: Promise<void> | undefined

  private constructor(store: Collection<Signer>, keyring: Keyring | undefined, log: Logger) {
    this.#store = store
    this.#keyring = keyring
    this.#log = log
  }

  static async open(store: Collection<Signer>, keyring: Keyring | undefined, log: Logger): Promise<Trust> {
    const trust = new Trust(store, keyring, log)
    for await (const { id } of each(store)) trust.#once.add(id)
    trust.keys()
    return trust
  }

  /** Keys that are trusted now: the same array for as long as they are the same. Empty: nothing is known of any key. */
  keys(): readonly PublicKey[] {
    const keys = this.#keyring?.trusted('lease') ?? none
    if (keys === this.#keys) return keys
    this.#keys = keys
    this.#ids = new Set(keys.map(({ id }) => id))
    for (const id of this.#ids) {
      if (this.#once.has(id)) continue
      this.#once.add(id)
      this.#unwritten.add(id)
    }
    return keys
  }

  /** Whether a key is trusted now. @param id 64 hex digits */
  has(id: string): boolean {
    this.keys()
    return this.#ids.has(id)
  }

  /** Whether a key was trusted, and is not any more. Without a keyring nobody can say so. */
  isWithdrawn(id: string): boolean {
    return this.#keyring !== undefined && !this.has(id) && this.#once.has(id)
  }

  /** Looks for new keys, and writes them down. To be called now and then; what fails is tried again the next time. */
  save(): Promise<void> {
    this.keys()
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined
    })
    return this.#saving
  }

  async #save(): Promise<void> {
    for (const id of this.#unwritten) {
      try {
        if ((await this.#store.get(id)) === undefined) await this.#store.insert({ id })
        this.#unwritten.delete(id)
      } catch (error) {
        this.#log.debug({ err: asError(error) }, 'a key that is trusted is not written down yet')
        return
      }
    }
  }
}
