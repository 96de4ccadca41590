import { SystemError } from '../../../core/api.js'
import type { BytePath } from '../tree.js'

/**
 * Makes sure that a path of a tree stays in it: relative, without `..`, empty or `.` parts, and without NUL. A file
 * system gives no other; a list of files that was tampered with may.
 * @returns its bytes
 * @throws SystemError DAMAGED
 */
export function bytesOf(path: BytePath): Buffer {
  const sound = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  if (!sound || path.includes('\0')) {
    throw new SystemError('DAMAGED', 'the list of files names one that is outside of the Journal', {
      hint: 'restore an older snapshot',
    })
  }
  return Buffer.from(path, 'latin1')
}

/**
 * Whether a symbolic link stays in its tree, wherever the tree is put: it goes up only at its beginning, where it
 * starts from real directories, and not beyond the top. A `..` behind a name could follow another link and count from
 * there.
 */
export function staysInside(path: BytePath, target: BytePath): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\0')) return false
  const parts = target.split('/').filter((part) => part !== '' && part !== '.')
  const firstName = parts.findIndex((part) => part !== '..')
  const ups = firstName === -1 ? parts.length : firstName
  return ups < path.split('/').length && !parts.slice(ups).includes('..')
}
