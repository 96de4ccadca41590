import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from '../errors.js'

/** Mode of a directory for this user alone. */
const privateFolder = 0o700

/**
 * Makes a directory for this user alone, and those above it. Each name that is new is on the disk when this returns:
 * after a power cut a file in it is not lost with the directory's name.
 * Not mkdir's own way (`recursive`): below /proc Node 20 would try for ever.
 * @throws Error with the system's code
 */
export function makeFolderSync(path: string): void {
  try {
    mkdirSync(path, { mode: privateFolder })
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    if (code !== 'ENOENT' || dirname(path) === path) throw error
    makeFolderSync(dirname(path))
    mkdirSync(path, { mode: privateFolder })
  }
  try {
    fsyncDirSync(dirname(path))
  } catch (error) {
    unlessUnsupported(error)
  }
}

/** The same, without keeping others waiting. @throws Error with the system's code */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: privateFolder })
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (code !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await mkdir(path, { mode: privateFolder }).catch(async (again: unknown) => {
      // Another call made it meanwhile.
      if (systemCode(again) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw again
    })
  }
  await fsyncDir(dirname(path)).catch(unlessUnsupported)
}

/** Has the names in a directory written to the disk (fsync). @throws Error with the system's code */
export async function fsyncDir(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

/** The same, for code that cannot wait. */
export function fsyncDirSync(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

export interface AtomicOptions {
  /** Permission bits of the file; 0o600 by default. */
  readonly mode?: number
  /** Where it lies until it is whole, on the same file system: `PATH.new` by default. Only a crash leaves it behind. */
  readonly part?: string
}

/**
 * Writes a file in place of what is there: temporary file, fsync, rename, fsync of the directory. After a crash at any
 * moment it is the old or the new one; once this has resolved, the new one, whatever happens to the machine.
 * @throws Error with the system's code; what the content throws
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>,
  { mode = 0o600, part = `${path}.new` }: AtomicOptions = {},
): Promise<void> {
  try {
    // Anew, for what lies there may be open to others.
    await rm(part, { force: true })
    const file = await open(part, 'wx', mode)
    try {
      await writeFile(file, content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, path)
    await fsyncDir(dirname(path))
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined)
    throw error
  }
}

/** The same for a short text, for code that cannot wait. @throws Error with the system's code */
export function writeFileAtomicSync(path: string, content: string): void {
  const part = `${path}.new`
  try {
    rmSync(part, { force: true })
    writeFileSync(part, content, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(part, path)
    fsyncDirSync(dirname(path))
  } catch (error) {
    rmSync(part, { force: true })
    throw error
  }
}

/** Directories that this user may write and not read, and file systems that cannot flush a directory. */
function unlessUnsupported(error: unknown): void {
  if (!['EACCES', 'EINVAL', 'ENOTSUP'].includes(systemCode(error) ?? '')) throw error
}
