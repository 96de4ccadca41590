import { fsyncDirSync, isDiskFull, SugarError, SystemError, syncFileSystemSync } from '../../../core/api.js'

/**
 * Has everything of a file system written to the disk: one flush for thousands of files, where an fsync for each
 * takes minutes.
 * @throws SystemError NO_SPACE, NOT_WRITABLE; Error with the code EIO when the disk failed
 */
export function syncDisk(path: string): void {
  try {
    syncFileSystemSync(path)
  } catch (error) {
    if (!(error instanceof SugarError)) throw error
    if (error.code === 'NO_SPACE') throw noRoom(error.message, error)
    // The kernel tells it once: whoever has written there has to hear of it from us.
    if (/Input\/output error/.test(error.message))
      throw Object.assign(new Error(error.message, { cause: error }), { code: 'EIO' })
    throw error
  }
}

/** Has a directory's names written to the disk. */
export const syncFolder = fsyncDirSync

/** Whether something failed for want of room. */
export const isFull = isDiskFull

export const noRoom = (what: string, cause?: unknown): SystemError =>
  new SystemError('NO_SPACE', what, {
    hint: 'make room: "sugar-server backup prune", or a larger disk',
    cause,
  })
