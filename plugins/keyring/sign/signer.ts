import type { StoredKey } from '../keys/vault.js'
import type { Hash } from '../wire/signature.js'

/** What makes signatures. Only the notary asks it: nothing that it returns is trusted before it was verified. */
export interface Signer {
  /** As the option `keyring-driver` has it. */
  readonly name: string
  /** Signatures that it makes at a time. */
  readonly places: number
  /** Why it can sign nothing, if so: a sentence that says what to do. */
  readonly obstacle: string | undefined
  /**
   * RSASSA-PSS with a salt of 8 bytes and MGF1 of the same hash (docs/reference/protocols.md: Anti-theft, Keys).
   * @param key one with a private half
   * @returns 512 hex digits
   * @throws Error that says what went wrong, without secrets
   */
  sign(hash: Hash, payload: Buffer, key: StoredKey): Promise<string>
}
