import { printable } from '../../../core/api.js'
import type { Module } from '../public.js'
import { type WaysOut, waysOut } from './ways-out.js'

/** Milliseconds after which a directory is looked through again. */
const again = 3_600_000

interface Look extends WaysOut {
  /** In milliseconds of `performance.now()`. */
  readonly at: number
}

/**
 * Keeps an eye on links that lead out of what is published. An rsync without a root directory of its own does not send
 * what they lead to, but reads it when a client names it as its list of files, or as rules of a filter, and tells lines
 * of it. That cannot be refused: a client's own list of files comes by the same option.
 */
export class Lookout {
  readonly #pub: string
  /** By path. */
  readonly #looks = new Map<string, Look>()

  constructor(pub: string) {
    this.#pub = pub
  }

  /** Looks through directories that are new, or were looked through an hour ago. */
  async look(modules: readonly Module[], signal: AbortSignal): Promise<void> {
    const paths = new Set(modules.filter(({ owners }) => owners === 'files').map(({ path }) => path))
    for (const path of this.#looks.keys()) if (!paths.has(path)) this.#looks.delete(path)
    for (const path of paths) {
      const last = this.#looks.get(path)
      if (last !== undefined && performance.now() - last.at < again) continue
      const found = await waysOut(path, this.#pub, signal)
      if (found === undefined) return
      this.#looks.set(path, { ...found, at: performance.now() })
    }
  }

  /** Has a directory looked through again. */
  forget(path: string): void {
    this.#looks.delete(path)
  }

  /** What was found in a module, one sentence each. */
  sentences({ name, path }: Module): readonly string[] {
    const { count, some, isWhole } = this.#looks.get(path) ?? { count: 0, some: [], isWhole: true }
    const said: string[] = []
    if (count > 0) {
      const links = some.map(({ link, to }) => `${printable(link)} -> ${printable(to)}`).join(', ')
      const more = count > some.length ? ', ...' : ''
      const lead = count === 1 ? '1 link leads' : `${count} links lead`
      said.push(
        `${name}: ${lead} out of it, and clients may read lines of what is there: ${links}${more}; remove them, or publish what they lead to beside it`,
      )
    }
    if (!isWhole) said.push(`${name} is too large to be looked through for links that lead out of it`)
    return said
  }
}
