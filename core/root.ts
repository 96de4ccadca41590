import { accessSync, constants, statSync } from 'node:fs'
import { SystemError, systemCode } from './errors.js'
import { makeFolderSync } from './lib/durable-file.js'

/**
 * Makes the directory of everything that is kept, if it is not there, and sees that it is this user's alone.
 * @throws SystemError NOT_WRITABLE
 */
export function makeRoot(root: string): void {
  try {
    makeFolderSync(root)
  } catch (cause) {
    throw unfit(
      root,
      `cannot be made (${systemCode(cause)})`,
      'give this user the directory, or set --root to another',
    )
  }
  checkRoot(root)
}

/**
 * Sees whether a root that exists can be used. Files that a command makes as another user would lock the server
 * out, and a stranger's directory could hold links that lead elsewhere.
 * @throws SystemError NOT_WRITABLE
 */
export function checkRoot(root: string): void {
  const { mode, uid } = statSync(root)
  const me = process.geteuid?.() ?? uid
  if (uid !== me) {
    const hint = `run this as that user (uid ${uid}), or give it the directory: chown -R ${me} ${root}`
    throw unfit(root, 'belongs to another user', hint)
  }
  if ((mode & 0o022) !== 0) throw unfit(root, 'can be written by others', `protect it: chmod go-w ${root}`)
  try {
    accessSync(root, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw unfit(
      root,
      `cannot be written (${systemCode(cause)})`,
      'give this user the directory, or set --root to another',
    )
  }
}

const unfit = (root: string, what: string, hint: string): SystemError =>
  new SystemError('NOT_WRITABLE', `root: ${root} ${what}`, { hint })
