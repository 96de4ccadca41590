import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Logger, printable } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
import type { Build } from '../public.js'
import type { Catalogue } from './catalogue.js'
import { isThere } from './disk.js'
import { Draft } from './draft.js'
import { type Layout, manifest, tree } from './layout.js'

export interface Recovered {
  /** What is left in `making` and of no use. */
  readonly useless: readonly string[]
  /** What could not be finished, and stays for the next start. */
  readonly unfinished: readonly BuildDoc[]
}

/** Finishes what was whole when the server ended last, so that it is published. */
export async function recover(layout: Layout, catalogue: Catalogue, log: Logger): Promise<Recovered> {
  const useless = new Set((await readdir(layout.making)).map((name) => join(layout.making, name)))
  const unfinished: BuildDoc[] = []
  // There are two of one name only when the server ended just as the second was sealed.
  const sealed = [...(await Draft.sealed(layout))]
  sealed.sort((a, b) => (a.build.publishedAt < b.build.publishedAt ? -1 : 1))
  for (const { draft, build } of sealed) {
    try {
      await draft.place(build, async () => undefined)
      await catalogue.put(build)
      log.info({ build: build.name }, 'a build is published that was complete when the server ended')
    } catch (err) {
      useless.delete(draft.folder)
      unfinished.push(build)
      log.error(
        { err, build: build.name },
        'a complete build cannot be published; the next start tries again',
      )
    }
  }
  return { useless: [...useless], unfinished }
}

/**
 * Compares the catalogue with the disk. Builds that are not there, or not whole, are missing.
 * @returns the names of what is there and in no catalogue
 */
export async function compare(layout: Layout, catalogue: Catalogue): Promise<readonly string[]> {
  for (const build of catalogue.list()) {
    const { name, fakeroot } = build
    const parts = [join(layout.build(name), manifest), join(layout.build(name), tree)]
    if (fakeroot !== undefined) parts.push(layout.state(fakeroot))
    const there = await Promise.all(parts.map(isThere))
    if (!there.every(Boolean)) catalogue.miss(build)
  }
  return (await readdir(layout.builds)).filter((name) => catalogue.known(name) === undefined)
}

/** A sentence about a build that is missing. */
export const missed = ({ name, path }: Build): string =>
  `build-${name} is not served, since ${path} is not there, or not all of it: have its disk mounted when the server starts; or, when it is lost, forget it with "sugar-server rsync withdraw ${name}"`

/** A sentence about what is in no catalogue. */
export const stranger = (path: string): string =>
  `${printable(path)} is none of the builds that this server published, and is not served: move it away`
