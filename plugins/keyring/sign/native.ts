import { sign } from 'node:crypto'
import type { StoredKey, Vault } from '../keys/vault.js'
import { digests, type Hash, pss } from '../wire/signature.js'
import type { Signer } from './signer.js'

/** Signs in this process, in the pool of threads: the event loop goes on meanwhile. */
export class NativeSigner implements Signer {
  readonly name = 'native'
  // Twice as many as the pool has threads, so that none is idle while this one verifies; not more, for files are read
  // and written in the pool too, and wait in line.
  readonly places = 8
  readonly obstacle = undefined
  readonly #vault: Pick<Vault, 'privateKey'>

  constructor(vault: Pick<Vault, 'privateKey'>) {
    this.#vault = vault
  }

  sign(hash: Hash, payload: Buffer, { publicKey }: StoredKey): Promise<string> {
    return new Promise((resolve, reject) => {
      const key = this.#vault.privateKey(publicKey.id)
      sign(digests[hash], payload, { key, ...pss }, (error, signature) => {
        if (error === null) resolve(signature.toString('hex'))
        else reject(error)
      })
    })
  }
}
