import { createHash } from 'node:crypto'
import {
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import { SystemError, systemCode } from '../../../core/api.js'
import type { FileRow, ObjectName } from '../tree.js'
import { inlineLimit } from './codec.js'
import { digestOf, reading, readUpTo } from './readable.js'
import { squeeze, squeezeFile } from './squeeze.js'

/** What an object's file name ends in when it is deflated. */
export const deflated = '.z'

/** What the file name of a damaged one ends in, which was moved out of the way. */
export const aside = '.damaged'

export const objectForm = /^[0-9a-f]{64}$/

/** Where an object's bytes lie, and how. */
export interface Lying {
  readonly path: string
  readonly deflated: boolean
}

/**
 * Contents by their sha256, each once for the whole school. A raw one may be the same inode as one file of one
 * learner's live tree: rsync never writes into a file that is there, it renames a new one over it.
 */
export class Objects {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  /** @returns undefined when there is none */
  find(name: ObjectName): Lying | undefined {
    const path = this.#path(name)
    if (existsSync(path + deflated)) return { path: path + deflated, deflated: true }
    return existsSync(path) ? { path, deflated: false } : undefined
  }

  /** Moves a damaged one out of the way; while a snapshot needs it, it may be worth something to somebody who knows. */
  putAside(name: ObjectName): void {
    const lying = this.find(name)
    if (lying !== undefined) renameSync(lying.path, this.#path(name) + aside)
  }

  /** The file of one that was put aside. */
  asideOf(name: ObjectName): Stats | undefined {
    return statSync(this.#path(name) + aside, { throwIfNoEntry: false })
  }

  /**
   * An object's bytes, checked against its name.
   * @param limit bytes; an object that has more is not the one that was put in
   * @throws SystemError DAMAGED
   */
  read(name: ObjectName, limit: number): Buffer {
    const lying = this.find(name)
    if (lying === undefined) throw lost(name, 'is missing')
    let bytes: Buffer | undefined
    try {
      // What is deflated is shorter than it was.
      bytes = reading(lying.path, (file) => readUpTo(file, limit))
      if (lying.deflated && bytes !== undefined) bytes = inflateRawSync(bytes, { maxOutputLength: limit })
    } catch (cause) {
      throw lost(name, `cannot be read (${systemCode(cause) ?? 'garbled'})`, cause)
    }
    if (bytes === undefined) throw lost(name, 'is not what was put in')
    if (createHash('sha256').update(bytes).digest('hex') !== name) throw lost(name, 'is not what was put in')
    return bytes
  }

  /** A raw object's bytes, unchecked. @throws SystemError DAMAGED when it is missing or cannot be read */
  bytes(name: ObjectName): Buffer {
    const lying = this.find(name)
    if (lying === undefined) throw lost(name, 'is missing')
    try {
      return reading(lying.path, (file) => readFileSync(file))
    } catch (cause) {
      throw lost(name, `cannot be read (${systemCode(cause)})`, cause)
    }
  }

  #path(name: ObjectName): string {
    if (!objectForm.test(name)) throw new TypeError('not the name of an object')
    return join(this.root, name.slice(0, 2), name.slice(2))
  }
}

/** An object that cannot be had as it was put in. */
export const lost = (name: ObjectName, what: string, cause?: unknown): SystemError =>
  new SystemError('DAMAGED', `the object ${name.slice(0, 12)} ${what}`, {
    hint: '"sugar-server backup verify" tells which files need it, and --repair looks for another copy',
    cause,
  })

/** Bytes up to which a file is read at once. */
const handy = 8 << 20

type Content = Pick<FileRow, 'size' | 'content'>

export interface IntakeOptions {
  /** Whether a raw object may be the file's own inode: not where others may write into it. */
  readonly links: boolean
}

/**
 * Objects on their way in. They lie in a folder of their own until all are on the disk, so that a power cut leaves
 * no object which a later snapshot would take for a whole one.
 */
export class Intake {
  /** Bytes that this intake adds to the disk. What a live tree has anyway is not among them. */
  added = 0
  readonly #objects: Objects
  readonly #folder: string
  readonly #options: IntakeOptions
  readonly #staged = new Set<string>()

  /** @param folder a directory of its own, on the file system of the objects */
  constructor(objects: Objects, folder: string, options: IntakeOptions) {
    this.#objects = objects
    this.#folder = folder
    this.#options = options
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** Where they lie until then. */
  get folder(): string {
    return this.#folder
  }

  get isEmpty(): boolean {
    return this.#staged.size === 0
  }

  /** Pieces of a manifest, each of them deflated. */
  bundle(content: Buffer): ObjectName {
    const name = createHash('sha256').update(content).digest('hex')
    if (!this.#has(name)) this.#write(name, content, false)
    return name
  }

  /**
   * A file's content: itself when it is short.
   * @throws SystemError UNAVAILABLE when somebody writes it meanwhile
   */
  async file(path: Buffer): Promise<Content> {
    try {
      return await reading(path, async (file) => {
        const before = fstatSync(file)
        const content = await this.#contentOf(path, file)
        const after = fstatSync(file)
        if (after.size !== content.size || after.mtimeMs !== before.mtimeMs) throw changed()
        return content
      })
    } catch (error) {
      throw existsSync(path) ? error : changed(error)
    }
  }

  /** Puts everything in its place. Call it once it is on the disk. */
  commit(): void {
    for (const file of this.#staged) {
      const folder = join(this.#objects.root, file.slice(0, 2))
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      renameSync(join(this.#folder, file), join(folder, file.slice(2)))
    }
    this.discard()
  }

  /** Forgets what was not put in its place. */
  discard(): void {
    this.#staged.clear()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #contentOf(path: Buffer, file: number): Promise<Content> {
    const whole = readUpTo(file, handy)
    if (whole === undefined) return this.#large(path, file)
    const size = whole.length
    if (size <= inlineLimit) return { size, content: whole }
    const content = createHash('sha256').update(whole).digest('hex')
    if (!this.#has(content)) {
      const packed = squeeze(whole)
      if (packed === undefined) this.#link(content, path, file, size)
      else this.#write(content, packed, true)
    }
    return { size, content }
  }

  async #large(path: Buffer, file: number): Promise<Content> {
    const { name, size } = digestOf(file)
    if (this.#has(name)) return { size, content: name }
    const length = await squeezeFile(file, size, join(this.#folder, `${name}${deflated}`))
    if (length === undefined) this.#link(name, path, file, size)
    else {
      this.#staged.add(`${name}${deflated}`)
      this.added += length
    }
    return { size, content: name }
  }

  #has(name: ObjectName): boolean {
    return (
      this.#staged.has(name) ||
      this.#staged.has(`${name}${deflated}`) ||
      this.#objects.find(name) !== undefined
    )
  }

  #write(name: ObjectName, bytes: Buffer, packed: boolean): void {
    const file = packed ? `${name}${deflated}` : name
    writeFileSync(join(this.#folder, file), bytes, { mode: 0o600 })
    this.#staged.add(file)
    this.added += bytes.length
  }

  #link(name: ObjectName, path: Buffer, file: number, size: number): void {
    const to = join(this.#folder, name)
    if (!this.#linked(path, to)) {
      copyFileSync(path, to, constants.COPYFILE_FICLONE)
      this.added += size
    }
    // The name stands for the file that was hashed, and no other.
    if (lstatSync(path).ino !== fstatSync(file).ino) throw changed()
    this.#staged.add(name)
  }

  /** Gives a file a second name, where that may be: it takes nothing more of the disk. */
  #linked(path: Buffer, to: string): boolean {
    if (!this.#options.links) return false
    try {
      linkSync(path, to)
      return true
    } catch (error) {
      // Too many links to one file, or a file system without any.
      if (['EMLINK', 'EPERM', 'EXDEV', 'ENOTSUP'].includes(systemCode(error) ?? '')) return false
      throw error
    }
  }
}

const changed = (cause?: unknown): SystemError =>
  new SystemError('UNAVAILABLE', 'a Journal was changed while it was read', {
    hint: 'nothing is lost; it will be done again',
    cause,
  })
