import type { BigIntStats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'

/** Something below a directory. */
export interface Found {
  /** Relative, with '/' between, one character a byte (latin1): compared with `<` it sorts as the bytes do. */
  readonly path: string
  readonly stats: BigIntStats
}

/** The real path of what was found: names are any bytes, and need not be UTF-8. */
export function placeOf(directory: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')])
}

/** A file's time of change in whole seconds, rounded down as the system does. */
export function wholeSeconds({ mtimeNs }: BigIntStats): number {
  return Number((mtimeNs - (((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n)
}

async function add(found: Found[], directory: string, below: string): Promise<void> {
  const names = await readdir(placeOf(directory, below), { encoding: 'buffer' })
  const paths = names.map((name) => below + name.toString('latin1'))
  const stats = await Promise.all(paths.map((path) => lstat(placeOf(directory, path), { bigint: true })))
  for (const [at, path] of paths.entries()) {
    const known = stats[at]
    if (!known) continue
    found.push({ path, stats: known })
    if (known.isDirectory()) await add(found, directory, `${path}/`)
  }
}

/** All that is below a directory, sorted by path as bytes; links are not followed. */
export async function walk(directory: string): Promise<Found[]> {
  const found: Found[] = []
  await add(found, directory, '')
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}
