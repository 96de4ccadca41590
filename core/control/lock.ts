import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { exit, SystemError, systemCode } from '../errors.js'

/**
 * Makes this process the only one on a root.
 *
 * flock(1) locks a file handle that it inherits; the lock belongs to the handle and not to flock's process, so
 * it stays with ours and goes with it, however it ends. Node cannot lock files itself (docs/decisions/lock.md).
 * @throws SystemError ALREADY_RUNNING, PROGRAM_MISSING, NOT_WRITABLE
 * @returns the undo
 */
export function takeLock(run: string): () => void {
  const handle = openSync(join(run, 'lock'), 'a', 0o600)
  // Waits a second: a server that has just said good-bye gives its lock up last of all.
  const words = ['--timeout', '1', '--conflict-exit-code', String(exit.tempFail), '3']
  const { status, error } = spawnSync('flock', words, { stdio: ['ignore', 'ignore', 'ignore', handle] })
  if (status === 0) return () => closeSync(handle)
  closeSync(handle)
  if (status === exit.tempFail) {
    throw new SystemError('ALREADY_RUNNING', `another sugar-server uses ${dirname(run)}`, {
      hint: 'stop it with "sugar-server stop", or give this one a --root of its own',
    })
  }
  if (systemCode(error) === 'ENOENT') {
    throw new SystemError('PROGRAM_MISSING', 'the program flock is not installed', {
      hint: 'install the package util-linux: apt-get install util-linux',
    })
  }
  throw new SystemError('NOT_WRITABLE', `${run} cannot be locked`, {
    hint: 'choose a root on a file system with locks',
  })
}
