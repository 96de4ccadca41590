import type { Kind } from './entry.js'
import type { Limits } from './limits.js'
import { refusal, shown } from './refusal.js'

interface Known {
  readonly kind: Kind
  /** Whether it has another name: then one of them cannot be replaced alone. */
  isLinked: boolean
}

/** All directories are one: nothing is kept of each but that it is one. */
const directory: Known = { kind: 'directory', isLinked: false }

/**
 * The paths of a tree, as far as it has been read. Sees that nothing in a tar can be taken for something else: no file
 * below a file or link, no path that is two things, no hard link to what was not in the same tar before.
 */
export class Paths {
  readonly #known = new Map<string, Known>([['', directory]])
  readonly #most: number
  readonly #unnamed: (path: string) => void
  #bytes = 0

  /** @param unnamed told of each directory that has not been named, when something is in it */
  constructor({ names }: Pick<Limits, 'names'>, unnamed: (path: string) => void) {
    this.#most = names
    this.#unnamed = unnamed
  }

  /** @returns whether it is new; otherwise it replaces what it was @throws RequestError */
  enter(path: string, kind: Kind): boolean {
    const before = this.#known.get(path)
    if (before === undefined) {
      this.#add(path, kind === 'directory' ? directory : { kind, isLinked: false })
      return true
    }
    if (before.kind !== kind) throw refusal(`${shown(path)} is in it twice, as ${before.kind} and as ${kind}`)
    // Which of two that lead out of a tree GNU tar leaves there is chance: it makes them last, by their inodes.
    if (kind === 'link') throw refusal(`${shown(path)} is in it twice, both times as a link`)
    if (before.isLinked) throw refusal(`${shown(path)} is in it again, behind a hard link to it`)
    return false
  }

  /** A hard link: another name of something that was entered before. @throws RequestError */
  link(path: string, target: string): void {
    const known = this.#known.get(target)
    if (known === undefined)
      throw refusal(`${shown(path)} is a hard link to ${shown(target)}, which is not in it`)
    if (known.kind === 'directory')
      throw refusal(`${shown(path)} is a hard link to the directory ${shown(target)}`)
    if (this.#known.has(path)) throw refusal(`${shown(path)} is in it twice, the second time as a hard link`)
    known.isLinked = true
    this.#add(path, known)
  }

  #add(path: string, known: Known): void {
    this.#makeParents(path)
    this.#keep(path, known)
  }

  #keep(path: string, known: Known): void {
    this.#bytes += path.length
    if (this.#bytes > this.#most) throw refusal(`its paths have more than ${this.#most} bytes together`)
    this.#known.set(path, known)
  }

  /** Outermost first, as they come into being. */
  #makeParents(path: string): void {
    const missing: string[] = []
    for (let slash = path.lastIndexOf('/'); slash !== -1; slash = path.lastIndexOf('/', slash - 1)) {
      const parent = path.slice(0, slash)
      const known = this.#known.get(parent)
      if (known === directory) break
      if (known !== undefined) throw refusal(`${shown(path)} leads through ${shown(parent)}, a ${known.kind}`)
      missing.push(parent)
    }
    for (const parent of missing.reverse()) {
      this.#keep(parent, directory)
      this.#unnamed(parent)
    }
  }
}
