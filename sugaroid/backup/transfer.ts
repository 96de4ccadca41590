import { spawn } from 'node:child_process'
import { isIPv6 } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Account } from './account.js'

/** How an rsync ended. */
export interface Transfer {
  /** 0 when all is well; 255 is ssh's own. */
  readonly code: number
  /** What came on standard error, from the server too: its last 4,000 bytes, lines joined by semicolons. */
  readonly said: string
}

const mostSaid = 4000

/** rsync's own exit code for a signal. */
const interrupted = 20

/** The client in code, for a key that the ssh of this machine cannot use. */
const ownShell = fileURLToPath(new URL('../bin/remote-shell.js', import.meta.url))

/** A word of rsync's -e, whatever the path to it holds (rsync(1), option --rsh). */
const quoted = (word: string): string => `'${word.replaceAll("'", "''")}'`

/**
 * The remote shell for rsync's -e. rsync splits the text at spaces, so there is nothing in it that a user or a
 * server has written but a checked user name and a number; the files are named relative to the laptop's home.
 */
export function remoteShell({ place, shell }: Account, user?: string): string {
  const options = [
    'IdentitiesOnly=yes',
    'BatchMode=yes',
    'StrictHostKeyChecking=accept-new',
    'UserKnownHostsFile=known_hosts',
    'LogLevel=ERROR',
    'ConnectTimeout=30',
    // Every Sugar has a key of this type, and no ssh uses it unasked; to OpenSSH 10 the very name is an error.
    ...(shell === 'ssh with DSA' ? ['PubkeyAcceptedAlgorithms=+ssh-dss'] : []),
  ]
  const program = shell === 'own' ? `${quoted(process.execPath)} ${quoted(ownShell)}` : 'ssh'
  return [
    `${program} -F /dev/null -i default/owner.key`,
    ...options.map((option) => `-o ${option}`),
    `-p ${place.ssh.port}`,
    ...(user === undefined ? [] : [`-l ${user}`]),
  ].join(' ')
}

/** `HOST:PATH` as rsync reads it; the host may be an IPv6 address. */
export function remotePath({ place }: Account, path: string): string {
  const { host } = place.ssh
  return `${isIPv6(host) ? `[${host}]` : host}:${path}`
}

/** Runs rsync in a laptop's home; relative paths among the arguments start there. */
export async function runRsync(home: string, args: readonly string[]): Promise<Transfer> {
  return new Promise((resolve, reject) => {
    const { PATH = '' } = process.env
    const child = spawn('rsync', args, {
      cwd: home,
      env: { PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = Buffer.alloc(0)
    child.on('error', reject)
    child.stderr.on('data', (chunk: Buffer) => {
      said = Buffer.concat([said, chunk]).subarray(-mostSaid)
    })
    child.on('close', (code, signal) => {
      const lines = said.toString().split(/[\r\n]+/)
      if (signal) lines.push(`rsync was ended by ${signal}`)
      resolve({ code: code ?? interrupted, said: lines.filter(Boolean).join('; ') })
    })
  })
}
