import { spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync } from 'node:fs'
import { diskError, diskFault, diskFaultIn, SugarError, SystemError } from '../../../core/api.js'

/**
 * Has everything of a file system written to the disk: one flush for thousands of files, where an fsync for each
 * takes minutes.
 * @throws SystemError NO_SPACE, DISK_FAILING, NOT_WRITABLE
 */
export function syncDisk(path: string): void {
  const { status, stderr, error } = spawnSync('sync', ['-f', path], { stdio: ['ignore', 'ignore', 'pipe'] })
  if (status === 0) return
  const why = (error?.message ?? stderr.toString()).trim()
  const fault = diskFaultIn(why)
  if (fault === 'full') throw noRoom(`there is no room to write ${path}`)
  if (fault !== undefined) throw diskError(path, fault)
  throw new SystemError('NOT_WRITABLE', `${path} cannot be written to the disk: ${why}`, {
    hint: 'check the disk',
  })
}

/** Has a directory's names written to the disk. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

export const noRoom = (what: string, cause?: unknown): SystemError =>
  new SystemError('NO_SPACE', what, {
    hint: 'make room: "sugar-server backup prune", or a larger disk',
    cause,
  })

/** What work on the archive failed for, in words; what says nothing of the disk stays as it is. */
export function archiveFault(thrown: unknown, path: string, what: string): unknown {
  if (thrown instanceof SugarError) return thrown
  const fault = diskFault(thrown)
  if (fault === undefined) return thrown
  return fault === 'full' ? noRoom(what, thrown) : diskError(path, fault, { cause: thrown })
}
