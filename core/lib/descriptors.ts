import { readFileSync } from 'node:fs'

/** Of one kind, also where the process may have hardly any file descriptors. */
const fewest = 8

/**
 * How many connections of one kind may be open, so that other kinds, the store and child processes have file
 * descriptors too.
 * @param share of the file descriptors that this process may have, from 0 to 1
 * @param most connections, however many descriptors there are
 */
export function shareOfDescriptors(share: number, most: number): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return soft === undefined ? most : Math.min(most, Math.max(fewest, Math.floor(Number(soft) * share)))
  } catch {
    return most
  }
}
