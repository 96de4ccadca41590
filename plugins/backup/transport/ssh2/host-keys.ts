import { chmod, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { makeFolder, SystemError, writeFileAtomic } from '../../../../core/api.js'

const { utils } = ssh2

type Kind = { type: 'ed25519' } | { type: 'rsa'; bits: number }

/** One key of today, which comes first because it is the cheapest, and one for old laptops. */
const kinds: readonly Kind[] = [{ type: 'ed25519' }, { type: 'rsa', bits: 3072 }]

/**
 * The keys by which laptops know the server again. Made at the first start, and kept: a laptop that finds another key
 * behind the same address refuses to send its backup.
 * @param directory is made, for this user alone, when it is not there
 * @returns private keys as text
 * @throws SystemError DAMAGED when a key that is there cannot be read
 */
export async function hostKeys(directory: string): Promise<string[]> {
  await makeFolder(directory)
  return Promise.all(kinds.map((kind) => hostKey(directory, kind)))
}

async function hostKey(directory: string, kind: Kind): Promise<string> {
  const path = join(directory, `ssh_host_${kind.type}_key`)
  const kept = await contentOf(path)
  if (kept !== undefined) {
    if (isKey(kept)) return kept
    throw new SystemError('DAMAGED', `the ssh host key ${path} cannot be read`, {
      hint: 'bring it back from a backup of the server; or remove it for a new one, which every laptop must accept',
    })
  }
  const made = await make(kind)
  await writeFileAtomic(path, made)
  return made
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    const content = await readFile(path, 'utf8')
    await chmod(path, 0o600)
    return content
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

const isKey = (text: string): boolean => !(utils.parseKey(text) instanceof Error)

async function make(kind: Kind): Promise<string> {
  for (;;) {
    const key = await new Promise<string>((resolve, reject) => {
      const made = (error: Error | null, pair: { private: string }) =>
        error ? reject(error) : resolve(pair.private)
      if (kind.type === 'rsa') utils.generateKeyPair('rsa', { bits: kind.bits }, made)
      else utils.generateKeyPair('ed25519', made)
    })
    // ssh2 makes one now and then that it cannot read.
    if (isKey(key)) return key
  }
}
