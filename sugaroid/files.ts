import { randomBytes } from 'node:crypto'
import { mkdirSync, statSync } from 'node:fs'
import { link, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

const isErrno = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code

/** Makes a directory, and those above it. Not mkdir's own way: below /proc Node 20 would try for ever. */
export function makeFolders(path: string, mode = 0o777): void {
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    if (isErrno(error, 'EEXIST') && statSync(path).isDirectory()) return
    if (!isErrno(error, 'ENOENT') || dirname(path) === path) throw error
    makeFolders(dirname(path), mode)
    mkdirSync(path, { mode })
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Writes and fsyncs a sibling of `path`, lets `place` put it there, and leaves no sibling behind. */
async function writeBeside(
  path: string,
  text: string,
  mode: number,
  place: (temporary: string) => Promise<void>,
) {
  makeFolders(dirname(path), 0o700)
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const file = await open(temporary, 'wx', mode)
  try {
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await place(temporary)
  } finally {
    await unlink(temporary).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT')) throw error
    })
  }
  await syncDirectory(dirname(path))
}

/** Puts `text` at `path` in one step: after a power cut the file is the old one or the new one, whole. */
export async function replaceFile(path: string, text: string, mode = 0o644): Promise<void> {
  await writeBeside(path, text, mode, (temporary) => rename(temporary, path))
}

/**
 * Makes a file that is not there yet, whole and synced; false when it was there already. A hard link decides,
 * so of two that make it at the same moment one wins and the other can read the winner's.
 */
export async function createFile(path: string, text: string, mode = 0o644): Promise<boolean> {
  let created = true
  await writeBeside(path, text, mode, async (temporary) => {
    try {
      await link(temporary, path)
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
      created = false
    }
  })
  return created
}

/** Whether there is a directory, or a link to one. */
export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false
}

/** The text of a file, or undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
