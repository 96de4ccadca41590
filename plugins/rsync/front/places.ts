import { readFileSync } from 'node:fs'

// The laptops of a large school twice over.
const most = 2000

/** Connections of one kind that no rsync serves: a quarter of the file descriptors that this process may have. */
export function places(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return soft === undefined ? most : Math.min(most, Math.max(8, Math.floor(Number(soft) / 4)))
  } catch {
    return most
  }
}
