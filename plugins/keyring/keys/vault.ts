import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { RequestError } from '../../../core/api.js'
import { unwritten } from '../durable.js'
import { type Role, roles } from '../public.js'
import type { PublicKey } from '../wire/key.js'
import { entriesOf, type Kept, load } from './load.js'
import { derOf, parsePair } from './pair.js'
import type { Seal } from './seal.js'
import type { Half, Shelf } from './shelf.js'
import { type Entry, formatStates, type State } from './states.js'
import { type StoredKey, shortId } from './stored.js'

export type { StoredKey } from './stored.js'

const makePair = promisify(generateKeyPair)

/** Is called before anything of a key is written, with its id; when it throws, nothing is. */
export type Noted = (id: string) => Promise<void>

const unnoted: Noted = async () => undefined

/**
 * The keys of this server, by role. What a call resolved to survives `kill -9` and a power cut; one that was cut off, or
 * failed, has happened or not. One change after the other.
 */
export class Vault {
  /** What a start found to be amiss, a sentence each. */
  readonly notes: readonly string[]
  readonly #shelf: Shelf
  readonly #seal: Seal | undefined
  /** States of keys whose files are gone: one that is compromised stays so if it comes back. */
  readonly #absent: readonly Entry[]
  /** In the order in which they were added. */
  #keys = new Map<string, Kept>()
  #listed: readonly StoredKey[] = []
  #trusted = new Map<Role, readonly PublicKey[]>()
  #signing = new Map<Role, StoredKey>()
  /** Ids. */
  #compromised: ReadonlySet<string> = new Set()
  #turn: Promise<unknown> = Promise.resolve()

  readonly #check: () => void

  private constructor(loaded: Awaited<ReturnType<typeof load>>, check: () => void) {
    this.#check = check
    this.#shelf = loaded.shelf
    this.#seal = loaded.seal
    this.notes = loaded.notes
    this.#absent = loaded.absent
    this.#show(new Map(loaded.keys.map((kept) => [kept.key.publicKey.id, kept])))
  }

  /**
   * Reads all keys, and makes the directory if need be. With a passphrase, private keys that lie there in plain are
   * sealed.
   * @param folder `ROOT/keyring/keys`
   * @param passphrase is wiped
   * @param check throws when the directory is not there; called before each change
   * @throws SystemError CONFIG_INVALID (the passphrase is wrong, or missing), DAMAGED (the states are lost), NO_SPACE
   */
  static async open(
    folder: string,
    { passphrase, check = () => undefined }: { passphrase?: Buffer | undefined; check?: () => void } = {},
  ): Promise<Vault> {
    try {
      return new Vault(await load(folder, passphrase), check)
    } finally {
      passphrase?.fill(0)
    }
  }

  /** All of them, in the order in which they were added. */
  list(): readonly StoredKey[] {
    return this.#listed
  }

  /** Those whose signatures count: active and retired ones. */
  trusted(role: Role): readonly PublicKey[] {
    return this.#trusted.get(role) ?? []
  }

  /** The key that signs: of the active ones with a private half, the one added last. */
  signing(role: Role): StoredKey | undefined {
    return this.#signing.get(role)
  }

  /**
   * @param part an id, or its beginning or end, of 4 digits or more
   * @throws RequestError NOT_FOUND, REQUEST_INVALID when it could be several
   */
  find(part: string): StoredKey {
    const wanted = part.toLowerCase()
    const known = this.#keys.get(wanted)
    if (known !== undefined) return known.key
    const found = /^[0-9a-f]{4,64}$/.test(wanted)
      ? this.#listed.filter(({ publicKey: { id } }) => id.startsWith(wanted) || id.endsWith(wanted))
      : []
    const [first, ...others] = found
    if (first === undefined) {
      throw new RequestError('NOT_FOUND', `there is no key ${part.slice(0, 64)}`, {
        hint: '"sugar-server keyring list" shows all; 4 digits of one do, or more',
      })
    }
    if (others.length === 0) return first
    const names = found.slice(0, 5).map(({ role, publicKey }) => `${shortId(publicKey)} (${role})`)
    throw new RequestError(
      'REQUEST_INVALID',
      `${part} may be any of ${found.length} keys: ${names.join(', ')}`,
      {
        hint: 'give more digits of it',
      },
    )
  }

  /** Makes a pair. */
  async generate(role: Role, noted = unnoted): Promise<StoredKey> {
    const made = await makePair('rsa', {
      modulusLength: 2048,
      publicExponent: 65537,
      publicKeyEncoding: { type: 'pkcs1', format: 'der' },
      privateKeyEncoding: { type: 'pkcs1', format: 'der' },
    })
    try {
      return (await this.addPair(role, made.privateKey, noted)).key
    } finally {
      made.privateKey.fill(0)
    }
  }

  /** Takes a public key over. @throws RequestError REFUSED when it is another role's */
  add(role: Role, publicKey: PublicKey, noted = unnoted): Promise<'new' | 'known'> {
    return this.#next(async () => {
      if (this.#known(role, publicKey) !== undefined) return 'known'
      await noted(publicKey.id)
      await this.#keep({ key: this.#fresh(role, publicKey, false) }, [['public', publicKey.der]])
      return 'new'
    })
  }

  /**
   * Takes a pair over.
   * @param privateDer a `.private` file of makekey; it stays the caller's to wipe
   * @returns whether there is more now than before
   * @throws RequestError REQUEST_INVALID when it is none that a laptop would take, REFUSED when it is another role's
   */
  async addPair(
    role: Role,
    privateDer: Uint8Array,
    noted = unnoted,
  ): Promise<{ key: StoredKey; isNew: boolean }> {
    const { publicKey, object } = pairOf(privateDer)
    return this.#next(async () => {
      const known = this.#known(role, publicKey)
      if (known?.object !== undefined) return { key: known.key, isNew: false }
      await noted(publicKey.id)
      const key =
        known === undefined ? this.#fresh(role, publicKey, true) : { ...known.key, hasPrivate: true }
      const der = derOf(object)
      try {
        const kept = this.#seal?.close(der, `${role}/${publicKey.id}`) ?? der
        const halves: [Half, Uint8Array][] = [['private', kept]]
        // The private half first: from it a start makes the other, should it come to that.
        if (known === undefined) halves.push(['public', publicKey.der])
        await this.#keep({ key, object }, halves)
      } finally {
        der.fill(0)
      }
      return { key, isNew: true }
    })
  }

  /** @param id a whole one; @throws RequestError NOT_FOUND */
  mark(id: string, state: State): Promise<void> {
    return this.#next(async () => {
      const kept = this.#of(id)
      if (kept.key.state !== state) await this.#keep({ ...kept, key: { ...kept.key, state } }, [])
    })
  }

  /**
   * Forgets a key, both halves and its state.
   * @param id a whole one; @throws RequestError NOT_FOUND, SystemError NO_SPACE, NOT_WRITABLE: it is there as before
   */
  remove(id: string): Promise<void> {
    return this.#next(async () => {
      const { role, addedAt } = this.#of(id).key
      const keys = new Map([...this.#keys].filter(([one]) => one !== id))
      const after = entriesOf(keys, this.#absent)
      // With this it is decided: a start that finds it so removes what is left.
      await this.#shelf.writeStates([...after, { id, role, state: 'removed', addedAt }])
      try {
        // The private half last: should that fail, a start makes the other one of it again.
        for (const half of ['public', 'private'] as const) await this.#shelf.remove(role, id, half)
      } catch (error) {
        await this.#shelf.writeStates(entriesOf(this.#keys, this.#absent)).catch(() => undefined)
        throw unwritten(this.#shelf.folder, error)
      }
      this.#show(keys)
      await this.#shelf.writeStates(after).catch(() => undefined)
    })
  }

  /** Whether nothing of a key counts, whatever its role. @param key its id, or the whole key in hex */
  isCompromised(key: string): boolean {
    return this.#compromised.has(key.slice(-64))
  }

  /** @param id a whole one; @throws RequestError NOT_FOUND when its private half is not here */
  privateKey(id: string): KeyObject {
    const { object } = this.#of(id)
    if (object !== undefined) return object
    throw new RequestError('NOT_FOUND', `the private half of ${id.slice(0, 12)} is not on this server`, {
      hint: 'import it, if this server should sign with it',
    })
  }

  /** The same as makekey writes it. @returns a buffer for the caller to wipe */
  privateDer(id: string): Buffer {
    return derOf(this.privateKey(id))
  }

  /**
   * What somebody should look after, a sentence each.
   * @param server whose it is: the option `keyring-role`
   */
  warnings(server: 'school' | 'authority'): readonly string[] {
    const masters = this.#listed.flatMap((key) => this.warningOf(key, server) ?? [])
    return [...this.notes, ...masters]
  }

  /** Of one key: a master key's private half on the server of a school. */
  warningOf({ role, publicKey, hasPrivate }: StoredKey, server: 'school' | 'authority'): string | undefined {
    if (server === 'authority' || role === 'server' || !hasPrivate) return undefined
    return `the private half of the master key ${shortId(publicKey)} (${role}) lies on a school server: who steals the server can sign for all laptops; it belongs offline with the authority`
  }

  /** @throws RequestError when the key has another role, or another key its id */
  #known(role: Role, publicKey: PublicKey): Kept | undefined {
    const kept = this.#keys.get(publicKey.id)
    if (kept === undefined) return undefined
    if (kept.key.role === role && kept.key.publicKey.equals(publicKey)) return kept
    throw new RequestError('REFUSED', `${shortId(publicKey)} is kept as a key for ${kept.key.role} already`, {
      hint: 'use another key for each role',
    })
  }

  #of(id: string): Kept {
    const kept = this.#keys.get(id)
    if (kept !== undefined) return kept
    throw new RequestError('NOT_FOUND', `there is no key ${id.slice(0, 12)}`)
  }

  #fresh(role: Role, publicKey: PublicKey, hasPrivate: boolean): StoredKey {
    const before = this.#absent.find(({ id }) => id === publicKey.id)
    return {
      ...{ role, publicKey, hasPrivate },
      state: before?.state ?? 'active',
      addedAt: new Date().toISOString(),
    }
  }

  /** Writes files and then the states; when one fails, what was written before is taken back. */
  async #keep(kept: Kept, halves: readonly (readonly [Half, Uint8Array])[]): Promise<void> {
    const { role, publicKey } = kept.key
    const keys = new Map(this.#keys).set(publicKey.id, kept)
    const written: Half[] = []
    try {
      for (const [half, bytes] of halves) {
        await this.#shelf.write(role, publicKey.id, half, bytes)
        written.push(half)
      }
      const entries = entriesOf(keys, this.#absent)
      if (formatStates(entries) !== formatStates(entriesOf(this.#keys, this.#absent)))
        await this.#shelf.writeStates(entries)
    } catch (error) {
      for (const half of written.reverse())
        await this.#shelf.remove(role, publicKey.id, half).catch(() => undefined)
      throw unwritten(this.#shelf.folder, error)
    }
    this.#show(keys)
  }

  #show(keys: Map<string, Kept>): void {
    this.#keys = keys
    this.#listed = [...keys.values()].map(({ key }) => key)
    const entries = entriesOf(keys, this.#absent)
    this.#compromised = new Set(entries.filter(({ state }) => state === 'compromised').map(({ id }) => id))
    for (const role of roles) {
      const own = this.#listed.filter((key) => key.role === role)
      const trusted = own.filter(({ state }) => state !== 'compromised')
      const signing = own.findLast(({ state, hasPrivate }) => state === 'active' && hasPrivate)
      this.#trusted.set(
        role,
        trusted.map(({ publicKey }) => publicKey),
      )
      if (signing === undefined) this.#signing.delete(role)
      else this.#signing.set(role, signing)
    }
  }

  #next<T>(job: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      this.#check()
      return job()
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

function pairOf(privateDer: Uint8Array) {
  try {
    return parsePair(privateDer)
  } catch (error) {
    throw new RequestError('REQUEST_INVALID', `the private key ${(error as Error).message}`)
  }
}
