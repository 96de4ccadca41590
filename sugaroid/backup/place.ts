import type { Server } from '../server.js'
import type { Settings } from '../settings.js'

/** Where a laptop's backups go, and whom it asks before. */
export interface Place {
  readonly user: string
  /** Speaks ssh. */
  readonly ssh: Server
  /** Relative to what the server keeps for this learner. */
  readonly path: string
  /** Says whether a backup may begin: httpd-port. */
  readonly http: Server
}

const sshPort = 22
const httpPort = 8000

// What comes from a server becomes arguments of programs, so the characters are few, and none begins with a '-'.
const host = /(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<name>[A-Za-z0-9][A-Za-z0-9._-]{0,252}))/.source
const user = /(?<user>[A-Za-z0-9_][A-Za-z0-9._-]{0,63})/.source
const path = /(?<path>[A-Za-z0-9_][A-Za-z0-9._/-]{0,254})/.source
const url = new RegExp(`^ssh://${user}@${host}(?::(?<port>\\d{1,5}))?/${path}$`)
const scpLike = new RegExp(`^${user}@${host}:${path}$`)

/**
 * Reads `ssh://USER@HOST[:PORT]/PATH` or, as old servers write it, `USER@HOST:PATH`; ssh's port is 22 when not
 * given. Undefined for anything else: docs/reference/protocols.md: backup, The register reply.
 */
export function parseBackupUrl(text: string): Omit<Place, 'http'> | undefined {
  const found = (url.exec(text) ?? scpLike.exec(text))?.groups
  const { user, v6, name, port = String(sshPort), path } = found ?? {}
  const host = v6 ?? name
  if (user === undefined || host === undefined || path === undefined || path.split('/').includes('..')) {
    return undefined
  }
  const number = Number(port)
  return number >= 1 && number <= 65535 ? { user, ssh: { host, port: number }, path } : undefined
}

function parsePort(text: unknown): number | undefined {
  const port = typeof text === 'string' && /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65535 ? port : undefined
}

/**
 * Where the backups go after what a registration left behind: `backup-url` and `backup-port` of `config` when the
 * server sent them, else the `backupurl` that every server sends, and port 8000. Undefined when neither can be read.
 */
export function placeOf(settings: Settings): Place | undefined {
  const { 'backup-url': newer, 'backup-port': port } = settings.config ?? {}
  const at =
    (typeof newer === 'string' ? parseBackupUrl(newer) : undefined) ??
    parseBackupUrl(settings['backup-url'] ?? '')
  return at && { ...at, http: { host: at.ssh.host, port: parsePort(port) ?? httpPort } }
}
