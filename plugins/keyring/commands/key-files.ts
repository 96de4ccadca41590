import { asError, type InputFile, RequestError } from '../../../core/api.js'
import { parsePair, parsePublic } from '../keys/pair.js'
import { type Role, roles } from '../public.js'
import { PublicKey } from '../wire/key.js'

/** A key as it came in one or two files. */
export interface KeyFile {
  readonly role: Role
  readonly paths: readonly string[]
  readonly publicKey: PublicKey
  /** For the reader to wipe. */
  readonly privateDer?: Buffer
}

export interface Reading {
  /** Each once. */
  readonly keys: readonly KeyFile[]
  readonly refused: readonly { readonly path: string; readonly reason: string }[]
  /** Files that are something else. */
  readonly passed: readonly string[]
}

type Kind = 'public' | 'private' | 'text'

const mostKeys = 1000
/** Bytes of a text of a hundred keys; nothing that holds a key is longer. */
const longest = 1 << 16

/**
 * Finds keys by what files are called, or else by what is in them: halves of makekey (`.public`, `.private`; on the
 * sticks of xs-activation `.pub`, `.pri`) and `key01:` texts. Halves of one name must belong together.
 * @param role what all of them are for; otherwise the name of each says so: `lease.public`, or it is refused
 */
export async function readKeys(files: AsyncIterable<InputFile>, role: Role | undefined): Promise<Reading> {
  const reading = new Reader(role)
  for await (const file of files) reading.take(file)
  return reading.finish()
}

class Reader {
  readonly #role: Role | undefined
  readonly #publics = new Map<string, { path: string; publicKey: PublicKey }>()
  readonly #privates = new Map<string, { path: string; bytes: Buffer }>()
  readonly #texts: { path: string; publicKey: PublicKey }[] = []
  readonly #refused: { path: string; reason: string }[] = []
  readonly #passed: string[] = []

  constructor(role: Role | undefined) {
    this.#role = role
  }

  take({ path, bytes }: InputFile): void {
    const kind = kindOf(path, bytes)
    if (kind === undefined) {
      this.#passed.push(path)
      return
    }
    try {
      if (bytes.length > longest) throw new Error(`has ${bytes.length} bytes, which no key has`)
      const stem = path.replace(/\.[^./]*$/, '')
      if (kind === 'text') this.#takeText(path, bytes.toString('latin1'))
      else if (kind === 'public') this.#publics.set(stem, { path, publicKey: parsePublic(bytes) })
      // A copy, for it is wiped.
      else this.#privates.set(stem, { path, bytes: Buffer.from(bytes) })
    } catch (error) {
      this.#refused.push({ path, reason: asError(error).message })
    }
    if (this.#publics.size + this.#privates.size + this.#texts.length > mostKeys)
      throw new RequestError('REQUEST_TOO_LARGE', `there are more than ${mostKeys} keys`, {
        hint: 'import fewer at a time',
      })
  }

  finish(): Reading {
    const keys: KeyFile[] = []
    for (const [stem, { path, bytes }] of this.#privates) {
      const other = this.#publics.get(stem)
      this.#publics.delete(stem)
      const paths = other === undefined ? [path] : [path, other.path]
      try {
        const { publicKey } = parsePair(bytes)
        if (other !== undefined && !other.publicKey.equals(publicKey))
          throw new Error(`and ${other.path} are halves of two different pairs`)
        keys.push({ role: this.#roleOf(path), paths, publicKey, privateDer: bytes })
      } catch (error) {
        bytes.fill(0)
        this.#refused.push({ path, reason: asError(error).message })
      }
    }
    const whole = new Set(keys.map(({ role, publicKey }) => `${role} ${publicKey.hex}`))
    for (const { path, publicKey } of [...this.#publics.values(), ...this.#texts]) {
      try {
        const role = this.#roleOf(path)
        if (whole.has(`${role} ${publicKey.hex}`)) continue
        whole.add(`${role} ${publicKey.hex}`)
        keys.push({ role, paths: [path], publicKey })
      } catch (error) {
        this.#refused.push({ path, reason: asError(error).message })
      }
    }
    return { keys, refused: this.#refused, passed: this.#passed }
  }

  #takeText(path: string, text: string): void {
    const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
    if (lines.length === 0) throw new Error('is empty')
    for (const line of lines) this.#texts.push({ path, publicKey: PublicKey.fromKey01(line) })
  }

  #roleOf(path: string): Role {
    const name = /([^/]*)\.[^./]*$/.exec(path)?.[1]
    const role = this.#role ?? roles.find((one) => one === name)
    if (role !== undefined) return role
    throw new Error(`does not say by its name what it is for: add --role with one of ${roles.join(', ')}`)
  }
}

const names: ReadonlyMap<string, Kind> = new Map([
  ['public', 'public'],
  ['pub', 'public'],
  ['private', 'private'],
  ['pri', 'private'],
  ['key01', 'text'],
])

function kindOf(path: string, bytes: Buffer): Kind | undefined {
  const named = names.get(/\.([a-z0-9]+)$/.exec(path)?.[1] ?? '')
  if (named !== undefined) return named
  const start = bytes.toString('latin1', 0, 40)
  if (start.startsWith('key01:')) return 'text'
  if (/^-----BEGIN (?:RSA )?PUBLIC KEY/.test(start)) return 'public'
  if (/^-----BEGIN [A-Z ]*PRIVATE KEY/.test(start)) return 'private'
  if (!start.startsWith('\x30\x82')) return undefined
  return bytes.length < 300 ? 'public' : 'private'
}
