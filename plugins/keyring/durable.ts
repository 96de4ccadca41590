import { unwritten as explained, writeFileAtomic } from '../../core/api.js'

/** What a file is called while it is not whole yet. A start clears away what a crash left under such a name. */
export const unfinished = (path: string): string => `${path}.new`

/**
 * Writes a file for this user alone, in place of what is there. After a crash at any moment it is the old or the new
 * one; once this has resolved, the new one, whatever happens to the machine.
 * @throws SystemError NO_SPACE, NOT_WRITABLE
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await writeFileAtomic(path, content, { part: unfinished(path) })
  } catch (error) {
    throw unwritten(path, error)
  }
}

/** A failed write as an error with advice. */
export const unwritten = (path: string, error: unknown): unknown =>
  explained(path, error, {
    full: 'make room on the disk of the root',
    denied: 'look after the disk and the owner of the root',
  })
