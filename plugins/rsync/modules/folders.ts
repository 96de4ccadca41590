import { type Dirent, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { printable, systemCode } from '../../../core/api.js'
import type { Module } from '../public.js'
import { isModuleName, isReserved } from './names.js'

/** Milliseconds in which a directory may change twice and show the same time. */
const grain = 2000

/** The directories below `pub`: each is a module by itself, from the next connection on. */
export class Folders {
  readonly #path: string
  #seen = { mtimeMs: -1, at: 0 }
  #modules: readonly Module[] = []
  #passedOver: readonly string[] = []

  constructor(path: string) {
    this.#path = path
  }

  /** What lies there and is no module, with the reason. */
  get passedOver(): readonly string[] {
    return this.#passedOver
  }

  /** Looks again only when a name has come or gone since. */
  list(): readonly Module[] {
    const { mtimeMs } = statSync(this.#path, { throwIfNoEntry: false }) ?? { mtimeMs: 0 }
    const { mtimeMs: then, at } = this.#seen
    if (mtimeMs === then && at - mtimeMs > grain) return this.#modules
    this.#seen = { mtimeMs, at: Date.now() }
    this.#look()
    return this.#modules
  }

  #look(): void {
    const modules = new Map<string, Module>()
    const passedOver: string[] = []
    for (const entry of this.#entries(passedOver)) {
      const { name } = entry
      const alike = modules.get(name.toLowerCase())
      const why =
        reason(entry) ?? (alike && `cannot be served beside pub/${alike.name}: rsync takes both for one`)
      if (why === undefined)
        modules.set(name.toLowerCase(), { name, path: join(this.#path, name), comment: '', owners: 'files' })
      else if (why !== '') passedOver.push(`pub/${printable(name)} ${why}`)
    }
    this.#modules = [...modules.values()]
    this.#passedOver = passedOver
  }

  /** Those that are served already come first, so that they stay so. */
  #entries(passedOver: string[]): Dirent[] {
    const served = new Set(this.#modules.map(({ name }) => name))
    const rank = ({ name }: Dirent) => (served.has(name) ? `0${name}` : `1${name}`)
    try {
      const entries = readdirSync(this.#path, { withFileTypes: true })
      return entries.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
    } catch (error) {
      const code = systemCode(error)
      if (code !== 'ENOENT') passedOver.push(`${this.#path} cannot be read (${code})`)
      return []
    }
  }
}

interface Entry {
  readonly name: string
  isDirectory(): boolean
  isSymbolicLink(): boolean
}

/** @returns undefined for a module; empty for what is passed over without a word */
function reason(entry: Entry): string | undefined {
  const { name } = entry
  if (name === 'builds' || name.startsWith('.')) return ''
  if (entry.isSymbolicLink()) return 'is a link, which could lead anywhere: publish what it leads to'
  if (!entry.isDirectory()) return 'is no directory'
  if (!isModuleName(name)) return 'has a name that no module can have'
  if (isReserved(name)) return 'has a name that is kept for builds'
  return undefined
}
