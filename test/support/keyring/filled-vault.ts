import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Vault } from '../../../plugins/keyring/keys/vault.js'
import { PublicKey } from '../../../plugins/keyring/wire/key.js'
import { temporaryDirectorySync } from '../temporary-directory.js'
import { made } from './key-files.js'

/** Pairs of the real makekey, and one that node made. */
export const names = ['lease', 'region', 'server', 'oats', 'developer', 'rogue', 'n-lease'] as const

export const publicOf = (name: string) => PublicKey.parse(made(`${name}.public`))
export const idOf = (name: string) => publicOf(name).id

/** Each time a new one, for it is wiped. */
export const phrase = () => Buffer.from('one for the school')

/** What a vault says of its keys, to be compared. */
export const facts = (vault: Vault) =>
  vault
    .list()
    .map(({ role, publicKey, state, hasPrivate }) => ({ role, id: publicKey.id, state, hasPrivate }))

export const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))

/** A vault with pairs of these names, as keys of leases. */
export async function filled(t: Test, ...taken: string[]): Promise<{ folder: string; vault: Vault }> {
  const folder = join(temporaryDirectorySync(t), 'keys')
  const vault = await Vault.open(folder)
  for (const name of taken) await vault.addPair('lease', made(`${name}.private`))
  return { folder, vault }
}
