import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { unwritten as explained } from '../../core/api.js'

/** What a file is called while it is not whole yet. A start clears away what a crash left under such a name. */
export const unfinished = (path: string): string => `${path}.new`

/**
 * Writes a file for this user alone, in place of what is there. After a crash at any moment it is the old or the new
 * one; once this has resolved, the new one, whatever happens to the machine.
 * @throws SystemError NO_SPACE, NOT_WRITABLE
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const making = unfinished(path)
  try {
    // Anew, for what lies there may be open to others.
    await rm(making, { force: true })
    const file = await open(making, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(making, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(making, { force: true }).catch(() => undefined)
    throw unwritten(path, error)
  }
}

/** Has the names in a directory written to the disk. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

/** A failed write as an error with advice. */
export const unwritten = (path: string, error: unknown): unknown =>
  explained(path, error, {
    full: 'make room on the disk of the root',
    denied: 'look after the disk and the owner of the root',
  })
