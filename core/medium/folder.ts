import { constants } from 'node:fs'
import { type FileHandle, lstat, open, opendir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { RequestError, systemCode } from '../errors.js'
import { folded } from './manifest.js'
import { kindOf, PlainFile, unreadable } from './plain-file.js'

/** Names beyond which a directory is none that somebody prepared. */
const mostEntries = 10_000

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants

/** What lies in a directory. */
export class Listing {
  /** Names, and of each what it is: `file`, `directory`, ... */
  readonly kinds: ReadonlyMap<string, string>
  readonly #byFolded: ReadonlyMap<string, string>

  constructor(kinds: ReadonlyMap<string, string>) {
    this.kinds = kinds
    this.#byFolded = new Map([...kinds.keys()].sort().map((name) => [folded(name), name]))
  }

  /** How a name is written there: as it is if there is such a one, else with other letters large. */
  named(name: string): string | undefined {
    return this.kinds.has(name) ? name : this.#byFolded.get(folded(name))
  }
}

/**
 * The directory of a medium. Each look enters it anew, part by part from the directory before, so that no link can lead
 * elsewhere, not even one made a moment ago; and between two looks nothing keeps the stick from being unmounted.
 */
export class Folder {
  /** For people. */
  readonly path: string
  readonly #directory: string
  readonly #parts: readonly string[]

  /**
   * @param directory a path of this machine; links above it are followed, and so is it itself where `folder` is given
   * @param folder names below it, with slashes between them; none may be a link
   * @throws RequestError REFUSED for names that lead elsewhere
   */
  constructor(directory: string, folder = '') {
    // With a slash behind it, a link would be followed.
    this.#directory = resolve(directory)
    this.#parts = folder === '' ? [] : folder.replace(/\/$/, '').split('/')
    this.path = join(this.#directory, ...this.#parts)
    const bad = this.#parts.find(
      (part) => part === '' || part === '.' || part === '..' || part.includes('\0'),
    )
    if (bad !== undefined) throw new RequestError('REFUSED', `${folder} names no directory on a stick`)
  }

  /** @throws RequestError NOT_FOUND, REFUSED, REQUEST_TOO_LARGE; SystemError REFUSED, DAMAGED */
  list(): Promise<Listing> {
    return this.#enter(async (here) => {
      const kinds = new Map<string, string>()
      try {
        for await (const entry of await opendir(here)) {
          if (kinds.size === mostEntries) {
            const message = `${this.path} holds more than ${mostEntries} names`
            throw new RequestError('REQUEST_TOO_LARGE', message)
          }
          kinds.set(entry.name, kindOf(entry))
        }
      } catch (error) {
        if (error instanceof RequestError) throw error
        throw unreadable(this.path, error)
      }
      return new Listing(kinds)
    })
  }

  /** Hands a file in it to `work`, and closes it behind that. @throws as PlainFile.open() does; what `work` throws */
  async file<T>(name: string, limit: number, work: (file: PlainFile) => Promise<T>): Promise<T> {
    const file = await this.#enter((here) => PlainFile.open(join(here, name), limit, join(this.path, name)))
    try {
      return await work(file)
    } finally {
      await file.close()
    }
  }

  /** @param work is given a path that means this directory, whatever its name leads to by then */
  async #enter<T>(work: (here: string) => Promise<T>): Promise<T> {
    const isNamed = this.#parts.length > 0
    let shown = this.#directory
    let at = await openDirectory(shown, shown, isNamed ? 0 : O_NOFOLLOW)
    try {
      for (const part of this.#parts) {
        shown = join(shown, part)
        const above = at
        at = await openDirectory(join(pathOf(above), part), shown, O_NOFOLLOW)
        await above.close()
      }
      return await work(pathOf(at))
    } finally {
      await at.close()
    }
  }
}

/** Linux has what openat(2) does, which Node lacks, under this name. */
const pathOf = (handle: FileHandle): string => `/proc/self/fd/${handle.fd}`

async function openDirectory(path: string, shown: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, O_RDONLY | O_DIRECTORY | flags)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'ENOENT') throw new RequestError('NOT_FOUND', `there is no directory ${shown}`)
    if (code !== 'ENOTDIR' && code !== 'ELOOP') throw unreadable(shown, cause)
    const found = await lstat(path).then(kindOf, () => 'file')
    throw new RequestError('REFUSED', `${shown} is not a directory but a ${found}`, {
      hint: 'name the directory itself',
    })
  }
}
