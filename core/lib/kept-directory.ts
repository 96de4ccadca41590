import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from '../config/settings.js'
import { asError, SystemError, systemCode } from '../errors.js'
import type { Probe } from '../probe.js'
import { isFull } from './disk-fault.js'
import { makeFolderSync } from './durable-file.js'
import {
  type Identity,
  isSameStamp,
  markerName,
  newId,
  readIdentity,
  type Stamp,
  stampOf,
  writeIdentity,
} from './marker.js'

/** A directory that holds what cannot be made again. */
export interface KeptDirectorySpec {
  /** Its name in messages and for `accept-directory`; where an option sets the path, that option. */
  readonly name: string
  /** What it holds, plural: "the backups". */
  readonly holds: string
  /** The option that sets its path, if there is one. */
  readonly option?: string
  /** Its path below the root while no option sets another. */
  readonly below: string
  /** A file below the root that is not empty once something was kept in the directory. */
  readonly trace?: string
  /** The plugin runs while the directory is away, and goes on when it is back. Otherwise it needs a restart. */
  readonly resumes?: true
}

/** What was found at a path. `new`: nothing was kept there before, or by a version that wrote no identity. */
type Finding =
  | { readonly is: 'known'; readonly identity: Identity }
  | { readonly is: 'new'; readonly identity: Identity }
  | { readonly is: 'wrong'; readonly error: SystemError }

/** Where the root remembers identities: one file for each directory. */
const memory = 'directories'

/** Entries of a directory that nothing was ever put into. */
const unused = new Set(['lost+found', markerName, `${markerName}.new`])

/**
 * A directory whose identity the root remembers. Its marker holds a random id; the root holds the same id and the
 * path. Where they differ, another disk is mounted there, or none, or the path is wrong: nothing must be read there as
 * if it were ours, and nothing be written.
 *
 * As a probe of a plugin it says so in `check` and keeps the plugin from starting.
 */
export class KeptDirectory implements Probe {
  readonly what: string
  readonly advice?: true
  readonly spec: KeptDirectorySpec

  constructor(spec: KeptDirectorySpec) {
    this.spec = spec
    this.what = `the directory of ${spec.holds}`
    if (spec.resumes === true) this.advice = true
  }

  /** Reads only. */
  async look(settings: Pick<Settings, 'get'>): Promise<SystemError | undefined> {
    return this.guardOf(settings).problem()
  }

  /** Its guard for the server of these settings. */
  guardOf(settings: Pick<Settings, 'get'>): DirectoryGuard {
    const names = ['root', this.spec.option].filter((name) => name !== undefined)
    return this.guard(Object.fromEntries(names.map((name) => [name, settings.get(name)])))
  }

  /** Its guard for the server of a plugin's configuration. */
  guard(config: object): DirectoryGuard {
    const values = config as Readonly<Record<string, unknown>>
    const root = String(values.root)
    const { option, below } = this.spec
    const set = option === undefined ? '' : String(values[option] ?? '')
    return new DirectoryGuard(this.spec, root, set === '' ? join(root, below) : set)
  }
}

/** Watches that a directory stays the one that it was. */
export class DirectoryGuard {
  readonly path: string
  readonly #spec: KeptDirectorySpec
  readonly #memory: string
  readonly #root: string
  /** Of the marker, when it was last found to be right. */
  #stamp: Stamp | undefined
  #id: string | undefined

  constructor(spec: KeptDirectorySpec, root: string, path: string) {
    this.#spec = spec
    this.#root = root
    this.#memory = join(root, memory, spec.name)
    this.path = path
  }

  /**
   * Says why the directory must not be used now. Reads only; while all is well it costs one stat().
   * @returns SystemError WRONG_DIRECTORY with the next step; undefined when it is the right one
   */
  problem(): SystemError | undefined {
    try {
      const stamp = stampOf(this.path)
      if (isSameStamp(stamp, this.#stamp)) return undefined
      const found = this.#find()
      this.#stamp = found.is === 'known' ? stamp : undefined
      if (found.is === 'known') this.#id = found.identity.id
      return found.is === 'wrong' ? found.error : undefined
    } catch (error) {
      return this.#unreadable(error)
    }
  }

  /** Identity of the directory that was last found to be right; another one after an operator accepted another. */
  get id(): string | undefined {
    return this.#id
  }

  /** @throws SystemError WRONG_DIRECTORY when it must not be used now */
  check(): void {
    const problem = this.problem()
    if (problem !== undefined) throw problem
  }

  /**
   * Takes the directory up: makes it at the very first start, and gives it an identity where it has none.
   * @returns why it must not be used
   * @throws SystemError NOT_WRITABLE
   */
  claim(): SystemError | undefined {
    const problem = this.problem()
    if (problem !== undefined) return problem
    const found = this.#find()
    if (found.is === 'wrong') return found.error
    if (found.is === 'known' && found.identity.path === this.path) return undefined
    try {
      this.#establish({ ...found.identity, path: this.path })
    } catch (error) {
      if (!(isFull(asError(error).cause) && existsSync(this.path))) throw error
    }
    return this.problem()
  }

  /**
   * Takes the directory that is at the path now for the right one, whatever the root remembers. An operator's word.
   * @returns what the root remembered before
   * @throws SystemError WRONG_DIRECTORY when it holds something else of this server; NOT_WRITABLE
   */
  accept(): { before: Identity | undefined } {
    const before = this.#remembered()
    const marker = this.#marker()
    if (isIdentity(marker) && marker.directory !== this.#spec.name) throw this.#foreign(marker)
    this.#stamp = undefined
    const id = isIdentity(marker) ? marker.id : newId()
    this.#establish({ directory: this.#spec.name, id, path: this.path })
    return { before: isIdentity(before) ? before : undefined }
  }

  #find(): Finding {
    const { name } = this.#spec
    const before = this.#remembered()
    const marker = this.#marker()
    const wrong = (error: SystemError): Finding => ({ is: 'wrong', error })
    if (before === 'damaged')
      return wrong(
        this.#wrong(
          `${this.#memory} is damaged: the server cannot tell which directory holds ${this.#spec.holds}`,
        ),
      )
    if (isIdentity(marker)) {
      if (marker.directory !== name) return wrong(this.#foreign(marker))
      if (before === undefined) return { is: 'new', identity: { ...marker, path: this.path } }
      if (before.id === marker.id) return { is: 'known', identity: before }
      return wrong(this.#stranger(before, 'another identity'))
    }
    if (before !== undefined && marker === 'damaged')
      return wrong(this.#stranger(before, 'a damaged identity'))
    const entries = this.#entries()
    const isEmpty = entries === undefined || entries.every((entry) => unused.has(entry))
    if (before !== undefined)
      return wrong(isEmpty ? this.#absent(entries, before.path) : this.#stranger(before, 'no identity'))
    if (isEmpty && this.#wasUsed()) return wrong(this.#absent(entries, undefined))
    return { is: 'new', identity: { directory: name, id: newId(), path: this.path } }
  }

  /** The marker first: a crash in between leaves one that the next start takes up. */
  #establish(identity: Identity): void {
    const { name } = this.#spec
    try {
      makeFolderSync(this.path)
      const marker = readIdentity(join(this.path, markerName))
      if (!isIdentity(marker) || marker.id !== identity.id)
        writeIdentity(join(this.path, markerName), identity)
      makeFolderSync(join(this.#root, memory))
      writeIdentity(this.#memory, identity)
    } catch (cause) {
      throw new SystemError('NOT_WRITABLE', `${name}: ${this.path} cannot be made (${codeOf(cause)})`, {
        hint: this.#hintToMend(),
        cause,
      })
    }
  }

  #remembered(): Identity | 'damaged' | undefined {
    return readIdentity(this.#memory)
  }

  #marker(): Identity | 'damaged' | undefined {
    return readIdentity(join(this.path, markerName))
  }

  /** Names in the directory; undefined when it is missing. */
  #entries(): string[] | undefined {
    try {
      return readdirSync(this.path)
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
      throw error
    }
  }

  /** Whether an earlier version of this server kept something there. */
  #wasUsed(): boolean {
    const { trace } = this.#spec
    if (trace === undefined) return false
    return (statSync(join(this.#root, trace), { throwIfNoEntry: false })?.size ?? 0) > 0
  }

  #absent(entries: readonly string[] | undefined, was: string | undefined): SystemError {
    const { holds } = this.#spec
    const moved = was === undefined || was === this.path ? '' : `; ${holds} were in ${was}`
    const state = entries === undefined ? 'is missing' : 'is empty'
    return this.#wrong(
      `the disk with ${holds} is not mounted at ${this.path}: the directory ${state}${moved}`,
    )
  }

  #stranger({ path }: Identity, has: string): SystemError {
    const { holds } = this.#spec
    const where = path === this.path ? '' : `; ${holds} were in ${path}`
    return this.#wrong(`${this.path} is not the directory with ${holds}: it has ${has}${where}`)
  }

  #foreign(marker: Identity): SystemError {
    return this.#wrong(
      `${this.path} is the directory of ${marker.directory}, and cannot be that of ${this.#spec.name}`,
    )
  }

  #wrong(message: string): SystemError {
    return new SystemError('WRONG_DIRECTORY', message, { hint: this.#hint() })
  }

  #hint(): string {
    const { name, option, resumes } = this.#spec
    const mount = resumes === true ? 'mount the disk' : 'mount the disk, then restart sugar-server'
    const wrong = option === undefined ? '' : `; where ${option} is wrong, correct it and restart`
    return `${mount}${wrong}; or accept the new place with "sugar-server accept-directory ${name}"`
  }

  #hintToMend(): string {
    const { option } = this.#spec
    return `give this user the directory${option === undefined ? '' : `, or set ${option} to another`}`
  }

  #unreadable(cause: unknown): SystemError {
    if (cause instanceof SystemError) return cause
    return new SystemError('WRONG_DIRECTORY', `${this.path} cannot be read (${codeOf(cause)})`, {
      hint: 'check the disk and the owner of the directory',
      cause,
    })
  }
}

const isIdentity = (found: Identity | 'damaged' | undefined): found is Identity =>
  found !== undefined && found !== 'damaged'

const codeOf = (error: unknown): string => systemCode(error) ?? asError(error).message
