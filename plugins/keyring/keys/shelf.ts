import { constants } from 'node:fs'
import { chmod, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asError, fsyncDir, makeFolder, makeFolderSync, SystemError, systemCode } from '../../../core/api.js'
import { replaceFile } from '../durable.js'
import { type Role, roles } from '../public.js'
import { damaged, formatStates, largest, parseStates, type Written } from './states.js'

export type Half = 'public' | 'private'

/** A file of a key, as it was found. */
export interface Found {
  readonly role: Role
  readonly id: string
  readonly half: Half
  /** Nothing, where it could not be read. */
  readonly bytes: Buffer
  /** Why it could not be read: `cannot be read (EIO)`. */
  readonly fault?: string
  readonly changedAt: Date
  /** Whether others could read a private half; they cannot any more. */
  readonly wasOpen: boolean
}

const form = /^([0-9a-f]{64})\.(public|private)$/
/** More than any key takes, sealed or not. */
const longest = 8192

/** The files of the keys: `ROLE/ID.public`, `ROLE/ID.private`, and `states.json`. */
export class Shelf {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  /** Makes the directory, for this user alone. */
  async prepare(): Promise<void> {
    makeFolderSync(this.folder)
    await chmod(this.folder, 0o700)
  }

  /** All files of keys. What a crash left half-written is cleared away. */
  async scan(): Promise<Found[]> {
    const found: Found[] = []
    for (const role of roles) {
      const folder = join(this.folder, role)
      for (const name of (await namesIn(folder)).sort()) {
        if (name.endsWith('.new')) await rm(join(folder, name))
        const [, id, half] = form.exec(name) ?? []
        if (id === undefined) continue
        const file = await readKept(join(folder, name), longest).catch(unread)
        const isOpen = half === 'private' && (file.mode & 0o077) !== 0
        if (isOpen) await chmod(join(folder, name), 0o600)
        found.push({ role, id, half: half as Half, ...file, wasOpen: isOpen })
      }
    }
    return found
  }

  async write(role: Role, id: string, half: Half, bytes: Uint8Array): Promise<void> {
    await makeFolder(join(this.folder, role))
    await replaceFile(this.#path(role, id, half), bytes)
  }

  async remove(role: Role, id: string, half: Half): Promise<void> {
    await rm(this.#path(role, id, half), { force: true })
    await fsyncDir(join(this.folder, role))
  }

  /** @returns undefined when there never were any; @throws SystemError DAMAGED */
  async readStates(): Promise<Written[] | undefined> {
    await rm(`${this.#states}.new`, { force: true })
    try {
      const { bytes } = await readKept(this.#states, largest)
      return parseStates(bytes.toString('utf8'), this.#states)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      if (error instanceof SystemError) throw error
      throw damaged(this.#states, `cannot be read (${systemCode(error) ?? asError(error).message})`)
    }
  }

  async writeStates(entries: readonly Written[]): Promise<void> {
    await replaceFile(this.#states, formatStates(entries))
  }

  /** That there are keys, and no word of their states. */
  lost(): Error {
    return damaged(this.#states, 'is missing')
  }

  get #states(): string {
    return join(this.folder, 'states.json')
  }

  #path(role: Role, id: string, half: Half): string {
    return join(this.folder, role, `${id}.${half}`)
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

type Content = Pick<Found, 'bytes' | 'fault' | 'changedAt'> & { readonly mode: number }

/** One file that cannot be read must not take the others along. @throws what is no failure of the disk */
function unread(error: unknown): Content {
  const code = systemCode(error)
  if (code === undefined) throw error
  return { bytes: Buffer.alloc(0), fault: `cannot be read (${code})`, mode: 0, changedAt: new Date(0) }
}

async function readKept(path: string, most: number): Promise<Content> {
  // A link would lead to a file that this directory does not protect.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size, mode, mtime } = await file.stat()
    // Cut off where it is too long: then it is no key, and no JSON.
    const bytes = Buffer.alloc(Math.min(size, most))
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = (await file.read(bytes, length, bytes.length - length, length)).bytesRead
    return { bytes: bytes.subarray(0, length), mode, changedAt: mtime }
  } finally {
    await file.close()
  }
}
