import { SystemError } from '../../../core/api.js'
import type { BytePath } from '../tree.js'

/** Bytes of the longest path that a system call takes. */
const longest = 4096

// NUL, or a component that is empty, `.` or `..`.
const outside = /\0|^\/|\/\/|\/$|(?:^|\/)\.\.?(?:\/|$)/

/** Whether a path is relative, stays in its tree, and can be a path at all; "" is the tree's top. */
export const isInside = (path: BytePath): boolean => path.length <= longest && !outside.test(path)

/**
 * Makes sure that a path of a tree stays in it, and is not its top. A file system gives no other; a list of files
 * that was tampered with may.
 * @returns its bytes
 * @throws SystemError DAMAGED
 */
export function bytesOf(path: BytePath): Buffer {
  if (path === '' || !isInside(path)) {
    throw new SystemError('DAMAGED', 'the list of files names one that is outside of the Journal', {
      hint: 'restore an older snapshot',
    })
  }
  return Buffer.from(path, 'latin1')
}

/** Where a path of a tree is, when the tree's top is a directory of the file system. */
export function below(top: string, path: BytePath): Buffer {
  return path === '' ? Buffer.from(top) : Buffer.concat([Buffer.from(`${top}/`), bytesOf(path)])
}

/**
 * Whether a symbolic link stays in its tree, wherever the tree is put: it goes up only at its beginning, where it
 * starts from real directories, and not beyond the top. A `..` behind a name could follow another link and count from
 * there.
 */
export function staysInside({ path, target }: { path: BytePath; target: BytePath }): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\0')) return false
  const parts = target.split('/').filter((part) => part !== '' && part !== '.')
  const firstName = parts.findIndex((part) => part !== '..')
  const ups = firstName === -1 ? parts.length : firstName
  return ups < path.split('/').length && !parts.slice(ups).includes('..')
}
