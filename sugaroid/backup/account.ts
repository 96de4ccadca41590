import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HomeError } from '../errors.js'
import { type Identity, openIdentity } from '../identity.js'
import { parseServer } from '../server.js'
import { readSettings } from '../settings.js'
import { keyTypesOfSsh } from '../ssh/key-types.js'
import { type Place, placeOf } from './place.js'

/** A laptop that has registered and can be backed up. */
export interface Account {
  readonly identity: Identity
  readonly place: Place
  /** As they were sent at the registration: other machines than an XO make up new ones for the next. */
  readonly serial: string
  readonly uuid: string
  /** Which remote shell can use the key: the machine's ssh, one that must be told to use DSA, or the client in code. */
  readonly shell: 'ssh' | 'ssh with DSA' | 'own'
}

// The serial becomes an argument of programs.
const plainWord = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/

async function shellFor({ keyName }: Identity): Promise<Account['shell']> {
  if (keyName !== 'ssh-dss') return 'ssh'
  return (await keyTypesOfSsh()).has(keyName) ? 'ssh with DSA' : 'own'
}

/** What `--server HOST:HTTPPORT` says goes before what registration left behind; ssh's port stays. */
function elsewhere(place: Place, server: string | undefined): Place {
  if (server === undefined) return place
  const http = parseServer(server, place.http.port)
  return { ...place, http, ssh: { ...place.ssh, host: http.host } }
}

async function noted(home: string, name: string): Promise<string> {
  const file = join(home, 'default', 'identifiers', name)
  const text = await readFile(file, 'utf8').catch(() => '')
  if (plainWord.test(text)) return text
  throw new HomeError(`${file} does not hold what was registered`, 'register again: "sugaroid register"')
}

/**
 * Opens a laptop's identity together with what its registration left behind.
 * @param server `HOST[:HTTPPORT]` in place of the host and the port that registration left behind
 * Throws a HomeError when the laptop has not registered, or with a server that keeps no backups.
 */
export async function openAccount(home: string, server?: string): Promise<Account> {
  const settings = await readSettings(home)
  if (settings['jabber-server'] === undefined && settings['backup-url'] === undefined) {
    throw new HomeError(`the laptop in ${home} is not registered`, 'register first: "sugaroid register"')
  }
  const place = placeOf(settings)
  if (!place) {
    throw new HomeError(
      `registration left behind no place for backups, but '${settings['backup-url'] ?? ''}'`,
      'let the server keep backups, then register again: "sugaroid register"',
    )
  }
  const uuid = await noted(home, 'uuid')
  const serial = await noted(home, 'sn')
  const identity = await openIdentity(home)
  return { identity, place: elsewhere(place, server), serial, uuid, shell: await shellFor(identity) }
}
