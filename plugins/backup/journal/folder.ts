import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  lstat,
  lutimes,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  symlink,
  utimes,
  writeFile as writeAll,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { RequestError, SystemError } from '../../../core/api.js'
import type { BytePath, DirectoryRow, FileRow, LinkRow, Tree } from '../tree.js'
import { bytesOf, staysInside } from './path.js'

/** What has been written so far. */
export interface Progress {
  readonly files: number
  /** Of their contents. */
  readonly bytes: number
}

export interface Skipped {
  readonly path: BytePath
  readonly why: string
}

export interface Written extends Progress {
  /** Symbolic links that were not made. */
  readonly skipped: readonly Skipped[]
}

export interface Writing {
  /** Aborted when nobody wants it any more; nothing is left then. */
  readonly signal?: AbortSignal | undefined
  /** Told after each file. */
  readonly progress?: ((written: Progress) => void) | undefined
}

/**
 * Writes a tree into a directory of its own: all of it and on the disk, or nothing. Modes come without setuid,
 * setgid and sticky bits, times as exact as Node sets them (a microsecond); everything belongs to whoever runs this.
 * Symbolic links that are absolute or lead out of the tree are not made.
 * @param to a directory that does not exist, or is empty; the one above it must be there
 * @throws RequestError REFUSED when something is there; SystemError DAMAGED, NO_SPACE, NOT_WRITABLE; the reason of the
 *   signal
 */
export async function writeFolder(tree: Tree, to: string, writing: Writing = {}): Promise<Written> {
  const target = resolve(to)
  await checkFree(target)
  const work = await mkdtemp(join(dirname(target), '.restoring-')).catch((cause: unknown) => {
    throw new SystemError('NOT_WRITABLE', `${dirname(target)} is not there, or cannot be written`, {
      hint: 'make the directory, or name another',
      cause,
    })
  })
  const directories: DirectoryRow[] = []
  try {
    const written = await fill(tree, work, directories, writing)
    await run('sync', ['-f', dirname(target)])
    writing.signal?.throwIfAborted()
    await rename(work, target)
    const above = await open(dirname(target))
    await above.sync().finally(() => above.close())
    return written
  } catch (error) {
    // Directories that even their owner may not write in would stay.
    for (const row of directories) await chmod(below(work, row.path), 0o700).catch(() => {})
    await rm(work, { recursive: true, force: true })
    throw writing.signal?.aborted ? writing.signal.reason : explained(error, target)
  }
}

async function checkFree(target: string): Promise<void> {
  const there = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (there === undefined) return
  if (!there.isDirectory() || (await readdir(target)).length > 0) {
    throw new RequestError('REFUSED', `${target} is there already and is no empty directory`, {
      hint: 'name one that does not exist yet',
    })
  }
}

async function fill(
  tree: Tree,
  work: string,
  directories: DirectoryRow[],
  writing: Writing,
): Promise<Written> {
  const files: FileRow[] = []
  const links: LinkRow[] = []
  for (const row of tree.rows()) {
    if (row.type === 'file') files.push(row)
    else if (row.type === 'link') links.push(row)
    else {
      writing.signal?.throwIfAborted()
      if (row.path !== '') await mkdir(below(work, row.path), 0o700)
      directories.push(row)
    }
  }
  const progress = await writeFiles(tree, work, files, writing)
  // Links come after all files, so that none is written through one of them.
  const skipped = await makeLinks(links, work)
  // From the inside to the outside: what is made in a directory changes its time.
  for (const row of directories.toReversed()) {
    const path = below(work, row.path)
    await utimes(path, ...timesOf(row))
    await chmod(path, row.mode & 0o777)
  }
  return { ...progress, skipped }
}

/** Several at a time: most files of a Journal hold a few bytes, and each takes five calls. */
async function writeFiles(
  tree: Tree,
  work: string,
  rows: readonly FileRow[],
  { signal, progress }: Writing,
): Promise<Progress> {
  const waiting = rows.values()
  let written: Progress = { files: 0, bytes: 0 }
  let failed = false
  const write = async () => {
    for (const row of waiting) {
      if (failed) return
      signal?.throwIfAborted()
      await writeFile(tree, row, below(work, row.path), signal)
      written = { files: written.files + 1, bytes: written.bytes + row.size }
      progress?.(written)
    }
  }
  const writers = Array.from({ length: 8 }, () =>
    write().catch((error: unknown) => {
      failed = true
      throw error
    }),
  )
  // All must have stopped before what they wrote can be removed.
  const ends = await Promise.allSettled(writers)
  const end = ends.find((each) => each.status === 'rejected')
  if (end !== undefined) throw end.reason
  return written
}

async function writeFile(
  tree: Tree,
  row: FileRow,
  path: Buffer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await writeAll(file, tree.pieces(row), signal === undefined ? {} : { signal })
    await file.utimes(...timesOf(row))
    await file.chmod(row.mode & 0o777)
  } finally {
    await file.close()
  }
}

async function makeLinks(links: readonly LinkRow[], work: string): Promise<Skipped[]> {
  const skipped: Skipped[] = []
  for (const row of links) {
    if (!staysInside(row.path, row.target)) {
      skipped.push({ path: row.path, why: 'a symbolic link that leads out of the Journal' })
      continue
    }
    const path = below(work, row.path)
    await symlink(Buffer.from(row.target, 'latin1'), path)
    await lutimes(path, ...timesOf(row))
  }
  return skipped
}

/** The only way from a path of the tree to one of the file system. */
function below(work: string, path: BytePath): Buffer {
  return path === '' ? Buffer.from(work) : Buffer.concat([Buffer.from(`${work}/`), bytesOf(path)])
}

/** Node takes a negative number for "now", but a Date before 1970 for what it is. */
function timesOf({ seconds, nanos }: { seconds: number; nanos: number }): [number | Date, number | Date] {
  const time = seconds < 0 ? new Date(seconds * 1000) : seconds + nanos / 1e9
  return [time, time]
}

/** One for the whole file system: an fsync for each of thousands of small files takes minutes. */
async function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: 'ignore' })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}`)
}

function explained(error: unknown, target: string): unknown {
  const code = (error as NodeJS.ErrnoException).code
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  return new SystemError('NO_SPACE', `there is no room to restore into ${target}`, {
    hint: 'make room, or restore into another file system',
    cause: error,
  })
}
