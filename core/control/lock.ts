import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { SystemError, systemCode } from '../errors.js'

/**
 * Makes this process the only one on a root.
 *
 * flock(1) locks a file handle that it inherits; the lock belongs to the handle and not to flock's process, so
 * it stays with ours and goes with it, however it ends. Node cannot lock files itself (docs/decisions/lock.md).
 * @throws SystemError ALREADY_RUNNING, PROGRAM_MISSING
 * @returns the undo
 */
export function takeLock(run: string): () => void {
  const handle = openSync(join(run, 'lock'), 'a', 0o600)
  const { status, error } = spawnSync('flock', ['--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', handle],
  })
  if (status === 0) return () => closeSync(handle)
  closeSync(handle)
  if (systemCode(error) === 'ENOENT') {
    throw new SystemError('PROGRAM_MISSING', 'the program flock is not installed', {
      hint: 'install the package util-linux: apt-get install util-linux',
    })
  }
  throw new SystemError('ALREADY_RUNNING', `another sugar-server uses ${join(run, '..')}`, {
    hint: 'stop it with "sugar-server stop", or give this one a --root of its own',
  })
}
