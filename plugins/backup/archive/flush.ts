import {
  diskError,
  diskFault,
  fsyncDirSync,
  SugarError,
  SystemError,
  syncFileSystemSync,
} from '../../../core/api.js'

/**
 * Has everything of a file system written to the disk: one flush for thousands of files, where an fsync for each
 * takes minutes.
 * @throws SystemError NO_SPACE, DISK_FAILING, NOT_WRITABLE
 */
export function syncDisk(path: string): void {
  try {
    syncFileSystemSync(path)
  } catch (error) {
    if (error instanceof SugarError && error.code === 'NO_SPACE') throw noRoom(error.message, error)
    throw error
  }
}

/** Has a directory's names written to the disk. */
export const syncFolder = fsyncDirSync

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
