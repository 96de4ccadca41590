import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../../core/api.js'
import type { BuildDoc } from '../documents.js'
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
  const sealed: { draft: Draft; build: BuildDoc }[] = []
  for (const folder of useless) {
    const draft = new Draft(layout, folder)
    const build = Draft.is(folder) ? await draft.sealed() : undefined
    if (build !== undefined) sealed.push({ draft, build })
  }
  const unfinished: BuildDoc[] = []
  sealed.sort((a, b) => (a.build.publishedAt < b.build.publishedAt ? -1 : 1))
  for (const { draft, build } of sealed) {
    const known = catalogue.get(build.name)
    // Its store was full, say, and the build was made anew since.
    if (known !== undefined && known.publishedAt > build.publishedAt) continue
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
 * Compares the catalogue with the disk. Builds that are not there, or not whole, are forgotten.
 * @returns what an operator should know, one sentence each
 */
export async function compare(layout: Layout, catalogue: Catalogue, log: Logger): Promise<readonly string[]> {
  for (const { name, fakeroot } of catalogue.list()) {
    const parts = [join(layout.build(name), manifest), join(layout.build(name), tree)]
    if (fakeroot !== undefined) parts.push(layout.state(fakeroot))
    const there = await Promise.all(parts.map(isThere))
    if (there.every(Boolean)) continue
    log.warn({ build: name, path: layout.build(name) }, 'a build is not there any more, or not all of it')
    await catalogue.remove(name)
  }
  const names = (await readdir(layout.builds)).filter((name) => catalogue.get(name) === undefined)
  return names.map((name) => `${layout.build(name)} is none of the builds that this server published`)
}
