import { readdir, readFile, rm, stat } from 'node:fs/promises'
import type { BuildDoc } from '../documents.js'
import { writeWhole } from './disk.js'
import type { Layout } from './layout.js'

/** The file for all builds together; no build's own is called so. */
const together = '.builds'

const statesOf = (builds: readonly BuildDoc[]): string[] => builds.flatMap(({ fakeroot }) => fakeroot ?? [])

/**
 * Puts the state files of fakeroot in order when the server starts: those of no build go, and the others get the number
 * that the disk has since the machine was started.
 */
export async function tidyStates(layout: Layout, builds: readonly BuildDoc[]): Promise<void> {
  const names = new Set(statesOf(builds))
  const disk = `dev=${(await stat(layout.builds)).dev.toString(16)},`
  for (const name of await readdir(layout.owners)) {
    if (!names.has(name)) {
      await rm(layout.state(name), { recursive: true })
      continue
    }
    const text = await readFile(layout.state(name), 'latin1')
    const current = text.replace(/^dev=[0-9a-f]+,/gm, disk)
    if (current !== text) await writeWhole(layout.state(name), current)
  }
}

/** Puts the states of all builds into one, for the module that holds them all. @returns undefined when none has one */
export async function joinStates(layout: Layout, builds: readonly BuildDoc[]): Promise<string | undefined> {
  const names = statesOf(builds)
  if (names.length === 0) return undefined
  const texts: string[] = []
  for (const name of names) texts.push(await readFile(layout.state(name), 'latin1'))
  await writeWhole(layout.state(together), texts.join(''))
  return layout.state(together)
}
