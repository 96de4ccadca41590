import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const at = (path: string): string => fileURLToPath(new URL(`../../sugaroid/${path}`, import.meta.url))

/** Whether the OpenSSH of this machine can use DSA keys: 10 cannot, and dies of their name in its settings. */
export const opensshHasDsa: boolean = String(
  spawnSync('ssh', ['-Q', 'key'], { encoding: 'utf8' }).stdout,
).includes('ssh-dss')

/** What an OpenSSH that can use DSA keys must be told, as lines of its settings; nothing for one that cannot. */
export const dsaSettings: readonly string[] = opensshHasDsa ? ['PubkeyAcceptedAlgorithms +ssh-dss'] : []

/** A client with DSA whatever OpenSSH is here: program and first arguments; what follows are ssh's options. */
export const clientWithDsa: readonly [string, string] = [process.execPath, at('bin/remote-shell.js')]

const maker = `
import { writeFileSync } from 'node:fs'
const [, module, type, file] = process.argv
const { generateKey, publicLine } = await import(module)
const { privateKey, publicKey } = await generateKey(type)
writeFileSync(file, privateKey, { mode: 0o600 })
writeFileSync(file + '.pub', publicLine(publicKey))
`

/** Makes `FILE` and `FILE.pub`, as ssh-keygen does without a comment and a passphrase; DSA keys too. */
export function makeKeyFile(type: 'dsa' | 'rsa' | 'ecdsa' | 'ed25519', file: string): void {
  if (type === 'dsa')
    execFileSync(process.execPath, ['--input-type=module', '-e', maker, at('keys.js'), type, file])
  else execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', file])
}
