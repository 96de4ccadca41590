import { join } from 'node:path'
import { HomeError } from './errors.js'
import { readIfThere, replaceFile } from './files.js'
import type { Server } from './server.js'
import type { Struct } from './xmlrpc.js'

/** What a registration leaves behind in Sugar's settings; `config` is for options of sugar-client. */
export interface Settings {
  readonly 'jabber-server'?: string
  readonly 'backup-url'?: string
  readonly config?: Struct
}

const fileIn = (home: string): string => join(home, 'settings.json')

function isSettings(value: unknown): value is Settings {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { 'jabber-server': jabber = '', 'backup-url': backup = '' } = value as Record<string, unknown>
  return typeof jabber === 'string' && typeof backup === 'string'
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The settings kept in `home`, empty before the first registration. Throws a HomeError for a damaged file. */
export async function readSettings(home: string): Promise<Settings> {
  const settings = parse((await readIfThere(fileIn(home))) ?? '{}')
  if (isSettings(settings)) return settings
  throw new HomeError(`${fileIn(home)} holds no settings`, 'delete it and register again')
}

/** Adds to the settings kept in `home`; what is not named stays. */
export async function keepSettings(home: string, change: Settings): Promise<void> {
  const settings = { ...(await readSettings(home)), ...change }
  await replaceFile(fileIn(home), `${JSON.stringify(settings, null, 2)}\n`)
}

/**
 * Where Sugar registers: at its Jabber server when it has one, else at `schoolserver`. Throws a HomeError when
 * the Jabber server cannot be the host of a URL, where Sugar dies as well.
 */
export function schoolServer(settings: Settings, port: number): Server {
  const host = settings['jabber-server'] || 'schoolserver'
  if (/^[!-~]+$/.test(host)) return { host, port }
  throw new HomeError(
    `the last registration left behind the server '${host}', which is no host`,
    "mend the server's jabberserver and register again with --server",
  )
}
