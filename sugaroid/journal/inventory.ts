import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readlink } from 'node:fs/promises'
import { placeOf, walk, wholeSeconds } from './walk.js'

/** All that is below a directory: by path (latin1, one character a byte) what it is, in words that can be compared. */
export type Inventory = ReadonlyMap<string, string>

async function sha256(path: Buffer): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return hash.digest('hex')
}

/** Takes down names, kinds, modes, times in whole seconds, and contents: their sha256, where a link points to. */
export async function takeInventory(directory: string): Promise<Inventory> {
  const inventory = new Map<string, string>()
  for (const { path, stats } of await walk(directory)) {
    const place = placeOf(directory, path)
    const mode = (Number(stats.mode) & 0o7777).toString(8)
    if (stats.isFile()) {
      inventory.set(path, `file, mode ${mode}, time ${wholeSeconds(stats)}, sha256 ${await sha256(place)}`)
    } else if (stats.isDirectory())
      inventory.set(path, `directory, mode ${mode}, time ${wholeSeconds(stats)}`)
    else if (stats.isSymbolicLink()) inventory.set(path, `link to ${await readlink(place, 'latin1')}`)
    else inventory.set(path, 'special file')
  }
  return inventory
}

/** Where two inventories differ, a line for each path; none when all is equal. */
export function differences(before: Inventory, after: Inventory): string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort()
  return paths
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => `${path}: ${before.get(path) ?? 'nothing'}; then ${after.get(path) ?? 'nothing'}`)
}
