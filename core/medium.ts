import { createHash, type Hash } from 'node:crypto'
import { join } from 'node:path'
import { RequestError } from './errors.js'
import { Folder, type Listing } from './medium/folder.js'
import { readKeyring } from './medium/keyring.js'
import {
  folded,
  isOwn,
  largestManifest,
  manifestName,
  type Named,
  parseManifest,
  signatureName,
} from './medium/manifest.js'
import { writeWhole } from './medium/new-file.js'
import type { PlainFile } from './medium/plain-file.js'
import { checkSignature, largestSignature } from './medium/signature.js'

/** Something on a stick that its manifest does not name. */
export interface Stranger {
  readonly name: string
  /** Why it is not to be taken: `manifest.sha1 does not name this file`. */
  readonly reason: string
}

/**
 * A directory of a USB stick, of which only what its manifest names can be had. Whether letters of a name are large or
 * small does not count, on the stick, in its manifest and here.
 */
export interface Medium {
  /** What the manifest names, in its order and as it writes it. Whether it is all there shows when it is read. */
  readonly names: readonly string[]
  /** What lies there besides, sorted by name, without the manifest itself and its signature. */
  readonly strangers: readonly Stranger[]
  /** Whether the manifest names it. */
  has(name: string): boolean
  /**
   * A file's bytes, read once: these are the ones whose sum was checked.
   * @param spec.limit bytes that it may have; all of them are held in memory
   * @throws RequestError NOT_FOUND what is not there; REFUSED what the manifest does not name, and what is no file;
   *   REQUEST_TOO_LARGE; DAMAGED for another sum, or when it changes meanwhile
   * @throws SystemError DAMAGED, REFUSED when the stick cannot be read
   */
  read(name: string, spec: { limit: number }): Promise<Buffer>
  /**
   * Copies a file of any size to this machine, for this user alone. It comes into being, and takes the place of one
   * that was there, when its sum is checked and all of it is on the disk.
   * @param to path of the copy; its directory must be there
   * @param spec.limit bytes that it may have
   * @param spec.progress told after each piece how many of its bytes are done
   * @throws as read() does; SystemError NO_SPACE, NOT_WRITABLE
   */
  copy(
    name: string,
    to: string,
    spec: { limit: number; progress?: (done: number, size: number) => void },
  ): Promise<void>
}

/**
 * Opens a directory of a USB stick: reads `manifest.sha1`, and checks whose signature `manifest.sha1.sig` is. Nothing is
 * kept open; the stick can be taken out at any time, and what is asked for then is not found.
 * @param directory a directory that is not a link; or, with `folder`, where the stick is mounted
 * @param spec.folder a directory below it, such as `xs-activation/schoolserver`; no part of it may be a link
 * @param spec.security whether a known key must have signed the manifest; the option `security`
 * @param spec.keys file of the known public keys, binary or armored; asked for only with `security`
 * @param spec.signal gives up, now and in every read and copy after
 * @throws RequestError NOT_FOUND when there is no directory, or no manifest in it; REFUSED without a good signature, and
 *   for links; REQUEST_INVALID for a manifest with a wrong line; REQUEST_TOO_LARGE
 * @throws SystemError PROGRAM_MISSING without gpgv; REFUSED without keys, and when the stick cannot be read; DAMAGED
 * @throws ConfigError CONFIG_UNREADABLE when others can change the file of keys
 * @see docs/reference/protocols.md: Anti-theft
 */
export async function openMedium(
  directory: string,
  spec: { security: boolean; keys: string; folder?: string; signal?: AbortSignal },
): Promise<Medium> {
  const { security, keys, signal } = spec
  const folder = new Folder(directory, spec.folder)
  const found = await folder.list()
  const own = (name: string, limit: number) => {
    const there = found.named(name)
    return there === undefined ? undefined : folder.file(there, limit, (file) => file.whole(signal))
  }
  const manifest = await own(manifestName, largestManifest)
  if (manifest === undefined) {
    throw new RequestError('NOT_FOUND', `there is no ${manifestName} in ${folder.path}`, {
      hint: `make one with sha1sum, in that directory: sha1sum -- * > ${manifestName}`,
    })
  }
  if (security) {
    const signature = await own(signatureName, largestSignature)
    if (signature === undefined) {
      const message = `security is on, and there is no ${signatureName} in ${folder.path}`
      const hint = `have the manifest signed, by one of the known keys: gpg --detach-sign ${manifestName}`
      throw new RequestError('REFUSED', message, { hint })
    }
    const path = join(folder.path, signatureName)
    await checkSignature({ content: manifest, signature, keys: await readKeyring(keys), path }, signal)
  }
  return new Stick(folder, found, parseManifest(manifest, join(folder.path, manifestName)), signal)
}

class Stick implements Medium {
  readonly names: readonly string[]
  readonly strangers: readonly Stranger[]
  readonly #folder: Folder
  readonly #found: Listing
  /** By folded name. */
  readonly #manifest: ReadonlyMap<string, Named>
  readonly #signal: AbortSignal | undefined

  constructor(folder: Folder, found: Listing, manifest: ReadonlyMap<string, Named>, signal?: AbortSignal) {
    this.#folder = folder
    this.#found = found
    this.#manifest = manifest
    this.#signal = signal
    this.names = [...manifest.values()].map(({ name }) => name)
    const known = new Set(this.names.map((name) => found.named(name)))
    this.strangers = [...found.kinds]
      .filter(([name]) => !known.has(name) && !isOwn(name))
      .map(([name, kind]) => ({ name, reason: `${manifestName} does not name this ${kind}` }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  has(name: string): boolean {
    return this.#manifest.has(folded(name))
  }

  read(name: string, { limit }: { limit: number }): Promise<Buffer> {
    return this.#open(name, limit, async (file, check) => {
      const bytes = await file.whole(this.#signal)
      check(createHash('sha1').update(bytes))
      return bytes
    })
  }

  copy(
    name: string,
    to: string,
    { limit, progress }: { limit: number; progress?: (done: number, size: number) => void },
  ): Promise<void> {
    return this.#open(name, limit, async (file, check) => {
      const signal = this.#signal
      async function* content() {
        const hash = createHash('sha1')
        let done = 0
        for await (const chunk of file.content(signal)) {
          hash.update(chunk)
          yield chunk
          done += chunk.length
          progress?.(done, file.size)
        }
        check(hash)
      }
      await writeWhole(to, content())
    })
  }

  /** @param work is given, besides the file, what throws unless the sum of its bytes is the manifest's */
  async #open<T>(
    name: string,
    limit: number,
    work: (file: PlainFile, check: (hash: Hash) => void) => Promise<T>,
  ): Promise<T> {
    const { path } = this.#folder
    const one = this.#manifest.get(folded(name))
    if (one === undefined) {
      throw new RequestError('REFUSED', `${name} is not named in ${join(path, manifestName)}`, {
        hint: 'take nothing that it does not name',
      })
    }
    const check = (hash: Hash) => {
      const sum = hash.digest('hex')
      if (sum === one.sum) return
      const message = `${join(path, one.name)} has the sum ${sum}, and should have ${one.sum}`
      const hint = `copy it to the stick again; or, if it is meant to be so, make ${manifestName} again`
      throw new RequestError('DAMAGED', message, { hint })
    }
    return this.#folder.file(this.#found.named(one.name) ?? one.name, limit, (file) => work(file, check))
  }
}
