import { deepest, longestName, longestPath } from './limits.js'
import { refusal, shown } from './refusal.js'

/**
 * The path of an entry below the top of its tree, as all else here writes it: no `./`, no slash at either end; `''` is
 * the top itself.
 * @param written as the tar has it, one character a byte
 * @throws RequestError for one that leads out of the tree, or is more than a laptop can have
 */
export function pathOf(written: string): string {
  if (written === '') throw refusal('an entry has no name')
  // What `tar -c .` writes, without the work that other spellings need.
  const plain = written.slice(written.startsWith('./') ? 2 : 0, written.endsWith('/') ? -1 : undefined)
  const path = isPlain(plain) ? plain : normal(written)
  if (path.length > longestPath) throw refusal(`the path ${shown(path)} has more than ${longestPath} bytes`)
  let depth = 0
  for (let start = 0; start <= path.length; depth += 1) {
    const slash = path.indexOf('/', start)
    const end = slash === -1 ? path.length : slash
    if (end - start > longestName) throw refusal(`${shown(path)}: a name has more than ${longestName} bytes`)
    start = end + 1
  }
  if (depth > deepest) throw refusal(`${shown(path)} is more than ${deepest} directories deep`)
  return path
}

/** Whether it is written as only directories can be: `a/`, `a/.`, `.`. To GNU tar, anything else of that name is a fault. */
export const namesDirectory = (written: string): boolean => /(?:^|\/)\.?$/.test(written)

const isPlain = (written: string): boolean => !/\0|(?:^|\/)\.{0,2}(?:\/|$)/.test(written)

function normal(written: string): string {
  if (written.includes('\0')) throw refusal(`the path ${shown(written)} holds a NUL`)
  if (written.startsWith('/')) throw refusal(`the path ${shown(written)} is absolute`)
  const names = written.split('/').filter((name) => name !== '' && name !== '.')
  if (names.includes('..')) throw refusal(`the path ${shown(written)} leads upwards`)
  return names.join('/')
}
