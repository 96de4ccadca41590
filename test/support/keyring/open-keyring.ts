import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DestinationStream, pino } from 'pino'
import type { Test } from 'tap'
import { NedbStore } from '../../../core/store/nedb/store.js'
import { collections } from '../../../plugins/keyring/documents.js'
import { options } from '../../../plugins/keyring/options.js'
import type { Role } from '../../../plugins/keyring/public.js'
import { type KeyringContext, Service } from '../../../plugins/keyring/service.js'
import { PublicKey } from '../../../plugins/keyring/wire/key.js'
import { type AntitheftKey, readAntitheftKey } from '../../../sugaroid/index.js'
import { temporaryDirectorySync } from '../temporary-directory.js'
import { made } from './key-files.js'

/** A laptop of the vectors. */
export interface Listed {
  readonly serial: string
  readonly uuid: string
}

export const [xo, second, third] = readFileSync('test/vectors/bios-crypto/laptops.csv', 'utf8')
  .trim()
  .split(/\r?\n/)
  .map((line) => line.split(','))
  .map(([serial = '', uuid = '']) => ({ serial, uuid })) as [Listed, Listed, Listed]

/** Any number of laptops that nobody has. */
export const madeUp = (count: number): Listed[] =>
  Array.from({ length: count }, (_, n) => ({
    serial: `SHC${n.toString(16).toUpperCase().padStart(8, '0')}`,
    uuid: `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
  }))

/** A key of the vectors, as the keyring knows it. */
export const publicOf = (name: string): PublicKey => PublicKey.parse(made(`${name}.public`))

/** The same as a laptop knows it. */
export function known(name: string): AntitheftKey {
  const key = readAntitheftKey(made(`${name}.public`))
  if (key === undefined) throw new Error(`${name} is no key`)
  return key
}

/** What the stories take for now; the vectors are good until 2030. */
export const noon = new Date('2027-01-01T12:00:00Z')

export interface Opening {
  root?: string
  settings?: Partial<Record<keyof typeof options, unknown>>
  now?: () => Date
  /** Private keys of the vectors, by role. */
  keys?: readonly (readonly [Role, string])[]
  /** Public ones. */
  trusts?: readonly (readonly [Role, string])[]
  /** Changes the collections before they are used. */
  store?: (store: KeyringContext['store']) => KeyringContext['store']
}

/** A keyring as the plugin makes it, with a clock of its own. */
export interface Desk {
  readonly service: Service
  readonly root: string
  /** Lines of its log. */
  readonly log: { msg: string; level: number }[]
  /** What health says, by what it is about. */
  health(what: string): Promise<string | undefined>
  /** Runs what waits for the sockets. */
  ready(): Promise<void>
  close(): Promise<void>
}

export async function openDesk(t: Pick<Test, 'teardown'>, opening: Opening = {}): Promise<Desk> {
  const root = opening.root ?? temporaryDirectorySync(t)
  const log: { msg: string; level: number }[] = []
  const destination: DestinationStream = { write: (line) => void log.push(JSON.parse(line)) }
  const logger = pino({ level: 'info' }, destination)
  const nedb = new NedbStore(join(root, 'store'), logger)
  const store = {
    delegations: await nedb.open('keyring/delegations', collections.delegations),
    issued: await nedb.open('keyring/issued', collections.issued),
  }
  const checks = new Map<string, () => unknown>()
  const undos: (() => unknown)[] = [() => nedb.close()]
  const readies: (() => unknown)[] = []
  const defaults = Object.fromEntries(Object.entries(options).map(([name, option]) => [name, option.default]))
  const ctx = {
    config: { ...defaults, root, ...opening.settings },
    log: logger,
    store: opening.store?.(store) ?? store,
    on: (_: string, fn: () => unknown) => void readies.push(fn),
    every: () => undefined,
    defer: (undo: () => unknown) => void undos.push(undo),
    health: (what: string, check: () => unknown) => void checks.set(what, check),
  } as unknown as KeyringContext
  let isOpen = true
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    for (const undo of undos.reverse()) await undo()
  }
  t.teardown(close)
  const service = await Service.open(ctx, opening.now ?? (() => noon))
  for (const [role, name] of opening.keys ?? []) await service.vault.addPair(role, made(`${name}.private`))
  for (const [role, name] of opening.trusts ?? []) await service.vault.add(role, publicOf(name))
  return {
    ...{ service, root, log, close },
    health: async (what) => (await checks.get(what)?.()) as string | undefined,
    async ready() {
      for (const fn of readies) await fn()
    },
  }
}
