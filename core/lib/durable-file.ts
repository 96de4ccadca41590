import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeFolders } from '../root.js'

/**
 * Writes a small file for this user alone, in place of the one that is there. After a crash it is the old or the new
 * one; once this returns, it is the new one.
 * @throws Error of the system
 */
export function replaceFileSync(path: string, content: string): void {
  const temporary = `${path}.new`
  try {
    writeFileSync(temporary, content, { mode: 0o600, flush: true })
    renameSync(temporary, path)
    syncFolderSync(dirname(path))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** Has a directory's names written to the disk. */
export function syncFolderSync(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Makes a directory, and those above it, for this user alone; they outlast a power cut. @throws Error of the system */
export function makeFoldersSync(path: string): void {
  const made: string[] = []
  for (let folder = path; !existsSync(folder); folder = dirname(folder)) made.push(folder)
  makeFolders(path)
  for (const folder of made) syncFolderSync(dirname(folder))
}
