import { constants, createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { definePlugin, RequestError } from '../../../core/api.js'
import { openLog } from '../../../core/log/log.js'
import { NedbStore } from '../../../core/store/nedb/store.js'
import { boot, type TestHouse } from '../../../core/testing.js'
import { collections } from '../../../plugins/activation/documents.js'
import activation from '../../../plugins/activation/plugin.js'
import type { Change } from '../../../plugins/activation/roll/change.js'
import { writeChanges } from '../../../plugins/activation/roll/change-file.js'
import { Roll } from '../../../plugins/activation/roll/roll.js'
import {
  type Basis,
  formatMoment,
  type HeldDelegation,
  type Intake,
  Keyring,
  type LeaseAsk,
  type Moment,
  never,
  type OatsAsk,
  PublicKey,
  type Role,
  type RtcResetAsk,
} from '../../../plugins/keyring/public.js'
import {
  delegationPayload,
  leasePayload,
  linkPayload,
  rtcPayload,
} from '../../../plugins/keyring/wire/payload.js'
import { temporaryDirectory } from '../temporary-directory.js'

const keys = join(process.cwd(), 'test', 'vectors', 'bios-crypto', 'keys')

/** A pair of keys as makekey wrote it. */
export class Pair {
  readonly public: PublicKey
  readonly #private: KeyObject

  constructor(name: string) {
    this.public = PublicKey.parse(readFileSync(join(keys, `${name}.public`)))
    this.#private = createPrivateKey({
      key: readFileSync(join(keys, `${name}.private`)),
      format: 'der',
      type: 'pkcs1',
    })
  }

  /** 512 hex digits. */
  sign(payload: string): string {
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 8 }
    return sign('sha256', Buffer.from(payload, 'latin1'), { key: this.#private, ...padding }).toString('hex')
  }
}

export const master = new Pair('lease')
export const server = new Pair('server')
export const rogue = new Pair('rogue')

/** A laptop that was made up: SHC00000001 and its uuid. */
export function laptop(number: number): { serial: string; uuid: string } {
  const hex = number.toString(16).toUpperCase()
  return { serial: `SHC${hex.padStart(8, '0')}`, uuid: `8BF9AC40-26F8-4BCC-A699-${hex.padStart(12, '0')}` }
}

/** `act01: ...`, with a sig01. */
export const leaseOf = (serial: string, uuid: string, expiry: Moment, pair = master): string =>
  `act01: ${serial} K ${expiry} sig01: sha256 ${pair.public.id} ${pair.sign(leasePayload(serial, uuid, expiry))}`

/** `act01: ...` with a sig02 of two links: the master's, which ends, and the server's. */
export function chainedLease(serial: string, uuid: string, expiry: Moment, until: Moment): string {
  const first = master.sign(delegationPayload(serial, until, server.public))
  const last = server.sign(linkPayload(serial, expiry, leasePayload(serial, uuid, expiry)))
  const links = [
    `sha256 ${master.public.id} ${until} ${first}`,
    `sha256 ${server.public.hex} ${expiry} ${last}`,
  ]
  return `act01: ${serial} K ${expiry} sig02: ${links.join(' ')}`
}

/** What a laptop on the roll has that brings a ready lease. */
export function ready(serial: string, uuid: string, until: Moment, pair = master): Change {
  return { serial, stock: { serial, sig01: { line: leaseOf(serial, uuid, until, pair), until } } }
}

/** Days from now as a moment. */
export const inDays = (days: number, from = new Date()): Moment =>
  formatMoment(new Date(from.getTime() + days * 86_400_000))

/** A keyring in memory that signs as the real one does, and of which a test says what it holds. */
export class DeskKeyring implements Keyring {
  /** Whose keys laptops know. */
  known: readonly PublicKey[] = [master.public]
  readonly #compromised = new Set<string>()
  /** Has the master's key. */
  isMaster = true
  readonly held = new Map<string, HeldDelegation>()
  why: string | undefined
  time: (() => Date) | undefined
  /** What was signed: `lease SERIAL`, ... */
  readonly signed: string[] = []
  /** Waited for before each signature. */
  before: () => Promise<void> = async () => undefined

  delegate(serial: string, uuid: string, until: Moment, role: 'lease' | 'oats' = 'lease'): void {
    this.held.set(`${role}:${serial}`, { role, serial, uuid, until })
  }

  trusted(role: Role): readonly PublicKey[] {
    return role === 'lease' ? this.known : []
  }

  compromise({ id }: PublicKey): void {
    this.#compromised.add(id)
    this.known = this.known.filter((key) => key.id !== id)
  }

  isCompromised(key: string): boolean {
    return this.#compromised.has(key.slice(-64))
  }

  basis(role: 'lease' | 'oats', serial: string): Basis | undefined {
    if (this.isMaster) return { key: master.public.id, until: never, version: 1 }
    const { until, uuid } = this.held.get(`${role}:${serial}`) ?? {}
    if (until === undefined || uuid === undefined) return undefined
    return { key: server.public.id, until, uuid, version: 2 }
  }

  reach(role: 'lease' | 'oats'): number | 'all' {
    return this.isMaster ? 'all' : this.delegations().filter((one) => one.role === role).length
  }

  async obstacle(): Promise<string | undefined> {
    return this.why
  }

  now(): Date {
    return this.time?.() ?? new Date()
  }

  async lease({ serial, uuid, expiry }: LeaseAsk): Promise<string> {
    await this.#may(`lease ${serial}`)
    if (this.isMaster) return leaseOf(serial, uuid, expiry)
    return chainedLease(serial, uuid, expiry, this.held.get(`lease:${serial}`)?.until ?? never)
  }

  async resetClock({ serial, uuid, current, nonce }: RtcResetAsk): Promise<string> {
    await this.#may(`rtc ${serial}`)
    const next = formatMoment(this.now())
    const signature = master.sign(rtcPayload(serial, uuid, { current, nonce, next }))
    return `rtc01: ${serial} ${current} ${nonce} ${next} sig01: sha256 ${master.public.id} ${signature}`
  }

  async oats({ serial, response }: OatsAsk): Promise<string> {
    await this.#may(`oats ${serial}`)
    return `sig01: sha256 ${master.public.id} ${master.sign(response)}`
  }

  delegations(): readonly HeldDelegation[] {
    return [...this.held.values()]
  }

  async takeDelegations(): Promise<Intake> {
    throw new RequestError('REFUSED', 'this keyring takes nothing')
  }

  async takeServerKey(): Promise<boolean> {
    throw new RequestError('REFUSED', 'this keyring takes nothing')
  }

  async #may(what: string): Promise<void> {
    await this.before()
    if (this.why !== undefined) throw new RequestError('UNAVAILABLE', this.why)
    this.signed.push(what)
  }
}

/** A plugin that brings a keyring. */
export const keyringPlugin = (keyring: Keyring) =>
  definePlugin({
    name: 'keyring',
    api: 1,
    summary: 'A keyring for a test.',
    provides: { keyring: Keyring },
    start: () => ({ keyring }),
  })

export interface School {
  readonly house: TestHouse
  /** Of the TCP port. */
  readonly port: number
  /** Of `httpd-port`. */
  readonly url: string
}

/** Boots activation with a keyring, or without. @param changes what is on the roll from the start */
export async function school(
  t: Pick<Test, 'teardown'>,
  {
    keyring,
    settings = {},
    changes = [],
    plugins = keyring === undefined ? [] : [keyringPlugin(keyring)],
    root,
  }: {
    keyring?: Keyring
    /** Beside activation. */
    plugins?: readonly unknown[]
    settings?: Record<string, string>
    changes?: readonly Change[]
    root?: string
  } = {},
): Promise<School> {
  const place = root ?? (await temporaryDirectory(t))
  if (changes.length > 0) {
    // As a server leaves it that was killed behind an import: the next start makes these changes.
    mkdirSync(join(place, 'activation'), { recursive: true, mode: 0o700 })
    await writeChanges(join(place, 'activation', 'changes.jsonl'), changes)
  }
  const house = await boot({ plugins: [...plugins, activation], settings, root: place })
  t.teardown(() => house.dispose())
  const port = Number(new URL(await house.url('activation')).port)
  return { house, port, url: await house.url('httpd') }
}

export const log = openLog('silent').logger

/** The collections of a roll, over a real store. */
export async function shelvesIn(root: string) {
  const store = new NedbStore(join(root, 'store'), log)
  const shelves = {
    laptops: await store.open('activation/laptops', collections.laptops),
    stock: await store.open('activation/stock', collections.stock),
    thefts: await store.open('activation/thefts', collections.thefts),
    groups: await store.open('activation/groups', collections.groups),
  }
  return { store, shelves }
}

/** A roll of its own. @param root one to come back to */
export async function rollOf(
  t: Pick<Test, 'teardown'>,
  root?: string,
): Promise<{ roll: Roll; store: NedbStore }> {
  const place = root ?? (await temporaryDirectory(t))
  const { store, shelves } = await shelvesIn(place)
  // A test may have closed it already.
  t.teardown(() => store.close().catch(() => undefined))
  return { roll: await Roll.open({ config: { root: place }, store: shelves, log }), store }
}

export interface Heard {
  readonly text: string
  /** Milliseconds until the other end closed. */
  readonly after: number
  /** Of the connection, if it broke. */
  readonly error?: string
}

/** Asks as a laptop does: sends, closes its half, and reads to the end. @param close false: never closes its half */
export function ask(
  port: number,
  text: string | readonly string[],
  { close = true, host = '127.0.0.1' }: { close?: boolean; host?: string } = {},
): Promise<Heard> {
  const began = performance.now()
  const socket = connect({ host, port, allowHalfOpen: true })
  void send(socket, typeof text === 'string' ? [text] : text, close)
  return heard(socket, began)
}

async function send(socket: Socket, parts: readonly string[], close: boolean): Promise<void> {
  socket.setNoDelay(true)
  for (const part of parts) {
    socket.write(part)
    if (parts.length > 1) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  if (close) socket.end()
}

/** All that comes until the other end closes. */
export function heard(socket: Socket, began = performance.now()): Promise<Heard> {
  return new Promise((resolve) => {
    let text = ''
    let error: string | undefined
    const done = () => {
      socket.destroy()
      resolve({ text, after: performance.now() - began, ...(error !== undefined && { error }) })
    }
    socket
      .setEncoding('latin1')
      .on('data', (chunk: string) => {
        text += chunk
      })
      .on('error', (thrown: NodeJS.ErrnoException) => {
        error = thrown.code ?? thrown.message
      })
      .on('end', done)
      .on('close', done)
  })
}
