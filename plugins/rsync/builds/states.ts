import { readdir, rm, stat } from 'node:fs/promises'
import type { BuildDoc } from '../documents.js'
import { writeWhole } from './disk.js'
import type { Layout } from './layout.js'
import { inPieces, linesOf, lookLine } from './state.js'

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
    if (names.has(name)) await renumber(layout.state(name), disk)
    else await rm(layout.state(name), { recursive: true })
  }
}

/** Puts the states of all builds into one, for the module that holds them all. @returns undefined when none has one */
export async function joinStates(layout: Layout, builds: readonly BuildDoc[]): Promise<string | undefined> {
  const names = statesOf(builds)
  if (names.length === 0) return undefined
  await writeWhole(layout.state(together), inPieces(joined(layout, names)))
  return layout.state(together)
}

async function* joined(layout: Layout, names: readonly string[]): AsyncGenerator<string> {
  yield await lookLine(layout.builds, 'directory')
  for (const name of names) for await (const line of linesOf(layout.state(name))) yield `${line}\n`
}

/** All lines of a file are about one disk, so the first one says whether there is anything to do. */
async function renumber(path: string, disk: string): Promise<void> {
  for await (const line of linesOf(path)) {
    if (!line.startsWith(disk)) await writeWhole(path, inPieces(renumbered(path, disk)))
    return
  }
}

async function* renumbered(path: string, disk: string): AsyncGenerator<string> {
  for await (const line of linesOf(path)) yield `${line.replace(/^dev=[0-9a-f]+,/, disk)}\n`
}
