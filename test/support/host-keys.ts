import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** In the build, for all tests of this machine: to make an RSA key takes longer than to start a server. */
const made = fileURLToPath(new URL('../../.test-host-keys', import.meta.url))
const files = ['ssh_host_ed25519_key', 'ssh_host_rsa_key']

/** Gives a new root of a server its ssh host keys, which it would make itself. A test of that has no use for it. */
export async function putHostKeys(root: string): Promise<void> {
  const folder = join(root, 'ssh')
  if (existsSync(folder)) return
  if (!files.every((name) => existsSync(join(made, name)))) {
    const { hostKeys } = await import('../../plugins/backup/transport/ssh2/host-keys.js')
    await hostKeys(made)
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const name of files) copyFileSync(join(made, name), join(folder, name))
}
