import type { KeyObject } from 'node:crypto'
import { asError, SystemError } from '../../../core/api.js'
import type { PublicKey } from '../wire/key.js'
import { derOf, parsePair, parsePublic } from './pair.js'
import { isSealed, Seal } from './seal.js'
import { type Found, Shelf } from './shelf.js'
import type { Entry, Written } from './states.js'
import type { StoredKey } from './stored.js'

/** A key as it is in memory. */
export interface Kept {
  readonly key: StoredKey
  /** Its private half, if it is here. */
  readonly object?: KeyObject
}

/** What a start finds. */
export interface Loaded {
  readonly shelf: Shelf
  /** Under what private halves are kept; undefined without a passphrase. */
  readonly seal: Seal | undefined
  /** In the order in which they were added. */
  readonly keys: readonly Kept[]
  /** Of keys whose files are gone. */
  readonly absent: readonly Entry[]
  /** What was not as it should be, a sentence each. */
  readonly notes: readonly string[]
}

/**
 * Reads all keys of a directory, and puts right what a crash left: files that the states do not name are those of a
 * key whose adding was not told to anybody, and it is taken up; those of a key whose removal was decided are removed;
 * private halves in plain are sealed, when there is a passphrase.
 */
export async function load(folder: string, passphrase: Buffer | undefined): Promise<Loaded> {
  const shelf = new Shelf(folder)
  await shelf.prepare()
  const scanned = await shelf.scan()
  const written = await shelf.readStates()
  if (written === undefined && scanned.length > 0) throw shelf.lost()
  const entries = written?.filter(isThere)
  const leaving = new Set(written?.filter((one) => !isThere(one)).map(({ id }) => id))
  for (const { role, id, half } of scanned.filter(({ id }) => leaving.has(id)))
    await shelf.remove(role, id, half)
  const files = scanned.filter(({ id }) => !leaving.has(id))
  const reading = new Reading(shelf, files, await sealsOf(files, passphrase), passphrase)
  const keys: Kept[] = []
  const absent: Entry[] = []
  for (const entry of entries ?? []) {
    const kept = await reading.key(entry)
    if (kept === undefined) absent.push(entry)
    else keys.push(kept)
  }
  const named = new Set((entries ?? []).map(({ id }) => id))
  const nameless = new Map(files.filter(({ id }) => !named.has(id)).map((file) => [file.id, file]))
  const adopted: Entry[] = []
  for (const { id, role, changedAt } of nameless.values()) {
    const entry: Entry = { id, role, state: 'active', addedAt: changedAt.toISOString() }
    const kept = await reading.key(entry)
    if (kept === undefined) continue
    keys.push(kept)
    adopted.push(entry)
  }
  if (entries === undefined || adopted.length + leaving.size > 0)
    await shelf.writeStates([...(entries ?? []), ...adopted])
  const seal = await reading.ownSeal()
  return { shelf, seal, keys, absent, notes: reading.notes }
}

/** What `states.json` says of keys, and of those whose files are gone. */
export function entriesOf(keys: ReadonlyMap<string, Kept>, absent: readonly Entry[]): Entry[] {
  const present = [...keys.values()].map(({ key: { role, publicKey, state, addedAt } }) => ({
    ...{ id: publicKey.id, role, state, addedAt },
  }))
  return [...absent.filter(({ id }) => !keys.has(id)), ...present]
}

const isThere = (entry: Written): entry is Entry => entry.state !== 'removed'

/**
 * What opens the sealed files: one seal, unless files of several stores came together. Before anything is written: a
 * wrong passphrase must not seal what is still plain.
 * @throws SystemError CONFIG_INVALID when there is no passphrase, or it opens none of them
 */
async function sealsOf(files: readonly Found[], passphrase: Buffer | undefined): Promise<Seal[]> {
  const sealed = files.filter(({ half, bytes }) => half === 'private' && isSealed(bytes))
  const [first] = sealed
  if (first === undefined) return []
  const place = short(`${first.role}/${first.id}`)
  if (passphrase === undefined) {
    throw new SystemError('CONFIG_INVALID', `the private key ${place} is kept under a passphrase`, {
      hint: 'set keyring-passphrase-file again; to do without, export all keys with "keyring export --private" first, and import them into a new root',
    })
  }
  const seals: Seal[] = []
  for (const { bytes } of sealed) {
    if (seals.some((seal) => seal.fits(bytes))) continue
    const seal = await Seal.of(bytes, passphrase).catch(() => undefined)
    if (seal !== undefined) seals.push(seal)
  }
  if (seals.length > 0) return seals
  throw new SystemError(
    'CONFIG_INVALID',
    `the passphrase of keyring-passphrase-file does not open the private key ${place}`,
    { hint: 'put the passphrase into the file under which the keys were kept' },
  )
}

class Reading {
  readonly notes: string[] = []
  readonly #shelf: Shelf
  readonly #files: ReadonlyMap<string, Found>
  readonly #passphrase: Buffer | undefined
  readonly #seals: Seal[]

  constructor(shelf: Shelf, files: readonly Found[], seals: Seal[], passphrase: Buffer | undefined) {
    this.#shelf = shelf
    this.#seals = seals
    this.#files = new Map(files.map((file) => [`${file.role}/${file.id}.${file.half}`, file]))
    this.#passphrase = passphrase
  }

  /** @returns undefined when neither half can be read */
  async key(entry: Entry): Promise<Kept | undefined> {
    const { id, role, state, addedAt } = entry
    const place = `${role}/${id}`
    const publicFile = this.#files.get(`${place}.public`)
    const privateFile = this.#files.get(`${place}.private`)
    const object = privateFile === undefined ? undefined : await this.#private(privateFile, place)
    const publicKey = this.#public(publicFile, place) ?? object?.publicKey
    if (publicKey === undefined) {
      if (publicFile === undefined) this.notes.push(`the file of the public key ${short(place)} is gone`)
      return undefined
    }
    if (publicFile === undefined) await this.#shelf.write(role, id, 'public', publicKey.der)
    const key = { role, publicKey, state, addedAt, hasPrivate: object !== undefined }
    return { key, ...(object !== undefined && { object: object.object }) }
  }

  /** For private halves that are yet to come: the one in use, so that the next start derives once. */
  async ownSeal(): Promise<Seal | undefined> {
    if (this.#passphrase === undefined) return undefined
    this.#seals[0] ??= await Seal.make(this.#passphrase)
    return this.#seals[0]
  }

  #public(file: Found | undefined, place: string): PublicKey | undefined {
    if (file === undefined) return undefined
    try {
      if (file.fault !== undefined) throw new Error(file.fault)
      const publicKey = parsePublic(file.bytes)
      if (publicKey.id === file.id) return publicKey
      throw new Error('holds another key than its name says')
    } catch (error) {
      this.notes.push(`the file of the public key ${short(place)} ${asError(error).message}`)
      return undefined
    }
  }

  async #private(file: Found, place: string) {
    if (file.wasOpen)
      this.notes.push(
        `the private key ${short(place)} could be read by other users of this machine until now; if there are any, make a new one`,
      )
    const wasSealed = isSealed(file.bytes)
    let der = file.bytes
    try {
      if (file.fault !== undefined) throw new Error(file.fault)
      if (wasSealed) der = this.#unseal(file.bytes, place)
      const pair = parsePair(der)
      if (pair.publicKey.id !== file.id) throw new Error('holds another key than its name says')
      if (!wasSealed) await this.#sealUp(file, place, pair.object)
      return pair
    } catch (error) {
      if (error instanceof SystemError) throw error
      this.notes.push(`the file of the private key ${short(place)} ${asError(error).message}`)
      return undefined
    } finally {
      der.fill(0)
    }
  }

  #unseal(bytes: Buffer, place: string): Buffer {
    const seal = this.#seals.find((one) => one.fits(bytes))
    if (seal === undefined) throw new Error('was sealed under another passphrase, or is damaged')
    return seal.open(bytes, place)
  }

  async #sealUp({ role, id }: Found, place: string, object: KeyObject): Promise<void> {
    const seal = await this.ownSeal()
    if (seal === undefined) return
    const der = derOf(object)
    try {
      await this.#shelf.write(role, id, 'private', seal.close(der, place))
    } finally {
      der.fill(0)
    }
  }
}

/** `ROLE/` and the first digits of an id. */
const short = (place: string): string => place.slice(0, place.indexOf('/') + 13)
