import { spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync } from 'node:fs'
import { SystemError, systemCode } from '../../../core/api.js'

/**
 * Has everything of a file system written to the disk: one flush for thousands of files, where an fsync for each
 * takes minutes.
 * @throws SystemError NO_SPACE, NOT_WRITABLE
 */
export function syncDisk(path: string): void {
  const { status, stderr, error } = spawnSync('sync', ['-f', path], { stdio: ['ignore', 'ignore', 'pipe'] })
  if (status === 0) return
  const why = (error?.message ?? stderr.toString()).trim()
  if (/No space left|quota/i.test(why)) throw noRoom(`there is no room to write ${path}`)
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

/** Whether something failed for want of room. */
export const isFull = (thrown: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(systemCode(thrown) ?? '')

export const noRoom = (what: string, cause?: unknown): SystemError =>
  new SystemError('NO_SPACE', what, {
    hint: 'make room: "sugar-server backup prune", or a larger disk',
    cause,
  })
