import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { SystemError, systemCode } from '../../../core/api.js'
import type { ObjectName } from '../tree.js'
import { squeeze, squeezeFile } from './squeeze.js'

/** What an object's file name ends in when it is deflated. */
export const deflated = '.z'

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

  /**
   * An object's bytes, checked against its name.
   * @throws SystemError DAMAGED
   */
  read(name: ObjectName, limit: number): Buffer {
    const lying = this.find(name)
    if (lying === undefined) throw lost(name, 'is missing')
    let bytes: Buffer
    try {
      bytes = readFileSync(lying.path)
      if (lying.deflated) bytes = inflateRawSync(bytes, { maxOutputLength: limit })
    } catch (cause) {
      throw lost(name, `cannot be read (${systemCode(cause) ?? 'garbled'})`, cause)
    }
    if (createHash('sha256').update(bytes).digest('hex') !== name) throw lost(name, 'is not what was put in')
    return bytes
  }

  remove(file: string): void {
    rmSync(file, { force: true })
  }

  #path(name: ObjectName): string {
    if (!objectForm.test(name)) throw new TypeError('not the name of an object')
    return join(this.root, name.slice(0, 2), name.slice(2))
  }
}

/**
 * Objects on their way in. They lie in a folder of their own until all are on the disk, so that a power cut leaves
 * no object which a later snapshot would take for a whole one.
 */
export class Intake {
  /** Bytes that this intake adds to the disk. */
  added = 0
  readonly #objects: Objects
  readonly #folder: string
  readonly #links: boolean
  readonly #staged = new Set<string>()

  /**
   * @param folder a directory of its own, on the file system of the objects
   * @param links whether a raw object may be the file's own inode: not where others may write into it
   */
  constructor(objects: Objects, folder: string, links: boolean) {
    this.#objects = objects
    this.#folder = folder
    this.#links = links
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  get isEmpty(): boolean {
    return this.#staged.size === 0
  }

  bytes(content: Buffer): ObjectName {
    const name = createHash('sha256').update(content).digest('hex')
    if (this.#has(name)) return name
    const packed = deflateRawSync(content, { level: 6 })
    const pays = packed.length < 0.9 * content.length
    this.#write(name, pays ? packed : content, pays)
    return name
  }

  /**
   * A file of a live tree, which nobody writes meanwhile.
   * @returns its content's name, and how many bytes it really had
   */
  async file(path: Buffer): Promise<{ name: ObjectName; size: number }> {
    const whole = slurp(path)
    if (whole === undefined) return this.#large(path)
    const name = createHash('sha256').update(whole).digest('hex')
    if (!this.#has(name)) {
      const packed = squeeze(whole)
      if (packed === undefined) this.#link(name, path, whole.length)
      else this.#write(name, packed, true)
    }
    return { name, size: whole.length }
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

  async #large(path: Buffer): Promise<{ name: ObjectName; size: number }> {
    const { name, size } = digestOf(path)
    if (this.#has(name)) return { name, size }
    const squeezed = join(this.#folder, `${name}${deflated}`)
    const length = await squeezeFile(path, squeezed)
    if (length === undefined) this.#link(name, path, size)
    else {
      this.#staged.add(`${name}${deflated}`)
      this.added += length
    }
    return { name, size }
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

  #link(name: ObjectName, path: Buffer, size: number): void {
    const to = join(this.#folder, name)
    try {
      if (this.#links) linkSync(path, to)
      else copyFileSync(path, to, constants.COPYFILE_FICLONE)
    } catch (error) {
      // Too many links to one file, or a file system without any.
      if (!['EMLINK', 'EPERM', 'EXDEV', 'ENOTSUP'].includes(systemCode(error) ?? '')) throw error
      copyFileSync(path, to, constants.COPYFILE_FICLONE)
    }
    this.#staged.add(name)
    this.added += size
  }
}

const block = 1 << 20
/** Bytes up to which a file is read at once. */
const handy = 8 << 20

/** A file's content, or undefined when it is a large one. */
function slurp(path: Buffer): Buffer | undefined {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { size } = statSync(path)
    return size > handy ? undefined : readFileSync(file)
  } finally {
    closeSync(file)
  }
}

function digestOf(path: Buffer): { name: ObjectName; size: number } {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(block)
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    let size = 0
    for (;;) {
      const length = readSync(file, buffer, 0, block, null)
      if (length === 0) return { name: hash.digest('hex'), size }
      hash.update(buffer.subarray(0, length))
      size += length
    }
  } finally {
    closeSync(file)
  }
}

const lost = (name: ObjectName, what: string, cause?: unknown): SystemError =>
  new SystemError('DAMAGED', `the object ${name.slice(0, 12)} ${what}`, {
    hint: '"sugar-server backup verify" tells which files need it, and --repair looks for another copy',
    cause,
  })
