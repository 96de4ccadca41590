import { join } from 'node:path'
import { replaceFile } from './files.js'
import type { Patience } from './http.js'
import { type Identity, type IdentityOptions, openIdentity } from './identity.js'
import { type Registration, register } from './registration.js'
import { registerByRest } from './rest.js'
import type { Server } from './server.js'
import { keepSettings, readSettings, type Settings, schoolServer } from './settings.js'
import { isStruct } from './xmlrpc.js'

/** The port Sugar has hard coded for XML-RPC, and the one clients of the JSON interface expect. */
export const ports = { xmlrpc: 8080, rest: 8000 } as const

export interface RegisterOptions extends IdentityOptions, Patience {
  /** Instead of the server Sugar would go to. */
  readonly server?: Server | undefined
  /** Use the JSON interface. */
  readonly rest?: boolean | undefined
}

export interface Attempt {
  readonly identity: Identity
  readonly server: Server
  readonly result: Registration
}

function leftBehind(result: Registration): Settings {
  if (result.outcome === 'broken' && result.jabberserver !== undefined) {
    return { 'jabber-server': result.jabberserver }
  }
  if (result.outcome !== 'registered') return {}
  const { jabberserver, backupurl, reply } = result
  const settings: Settings = { 'jabber-server': jabberserver, 'backup-url': backupurl }
  return isStruct(reply.config) ? { ...settings, config: reply.config } : settings
}

/**
 * The click on "Register" in Sugar: opens the identity in `home`, notes serial and uuid in
 * `default/identifiers` as Sugar does before it asks, registers, and keeps what Sugar would keep.
 */
export async function registerLaptop(home: string, options: RegisterOptions = {}): Promise<Attempt> {
  const identity = await openIdentity(home, options)
  const { rest = false, timeout, signal } = options
  const port = rest ? ports.rest : ports.xmlrpc
  const server = options.server ?? schoolServer(await readSettings(home), port)
  const noted = join(home, 'default', 'identifiers')
  await replaceFile(join(noted, 'sn'), identity.serial)
  await replaceFile(join(noted, 'uuid'), identity.uuid)
  const result = await (rest ? registerByRest : register)(identity, { server, timeout, signal })
  const change = leftBehind(result)
  if (Object.keys(change).length > 0) await keepSettings(home, change)
  return { identity, server, result }
}
