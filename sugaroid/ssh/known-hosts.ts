import { appendFile, readFile } from 'node:fs/promises'
import { HomeError } from '../errors.js'

/** Bytes of a file of known hosts that are read. */
const largest = 1 << 20

/** How OpenSSH calls a host in its file of known hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
const nameOf = (host: string, port: number): string => (port === 22 ? host : `[${host}]:${port}`)

async function linesOf(file: string): Promise<string[]> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0)
    throw error
  })
  if (bytes.length > largest)
    throw new HomeError(`${file} is larger than a file of known hosts can be`, `delete ${file}`)
  return bytes.toString('latin1').split('\n')
}

/**
 * Whether a host may have this key: the one it had before, or any when it is met for the first time; that one is noted.
 * The file is one that OpenSSH reads and writes too, with names that are not hashed.
 * @param key as it comes over the wire: its type as a string of RFC 4251, and what belongs to the type
 * @throws HomeError for a file that is too large; the system's error for one that cannot be read or written
 */
export async function isKnownHost(file: string, host: string, port: number, key: Buffer): Promise<boolean> {
  const name = nameOf(host, port)
  const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1')
  const keys = (await linesOf(file))
    .map((line) => line.trim().split(/\s+/))
    .filter(([names = '']) => names.split(',').includes(name))
    .map(([, , blob]) => blob)
  const blob = key.toString('base64')
  if (keys.length > 0) return keys.includes(blob)
  await appendFile(file, `${name} ${type} ${blob}\n`, { mode: 0o600 })
  return true
}
