import { createHash } from 'node:crypto'
import { walk, wholeSeconds } from './walk.js'

/** What a laptop tells of its Journal before it sends it. */
export interface Digest {
  /** 64 hex digits. */
  readonly sha256: string
  readonly files: number
  /** Of all files together. */
  readonly bytes: number
}

/**
 * The digest of a Journal, by which a server sees that it has all of it already: sha256 over one line for every
 * regular file below the directory, sorted by path as bytes: `PATH NUL SIZE NUL MTIME LF`. PATH is relative, raw
 * bytes, '/' between; SIZE in bytes and MTIME in whole seconds since 1970 are decimal. Contents are not read, as
 * rsync does not read them either: docs/reference/protocols.md: backup, The Journal digest.
 */
export async function digestJournal(datastore: string): Promise<Digest> {
  const hash = createHash('sha256')
  let files = 0
  let bytes = 0
  for (const { path, stats } of await walk(datastore)) {
    if (!stats.isFile()) continue
    hash.update(`${path}\0${stats.size}\0${wholeSeconds(stats)}\n`, 'latin1')
    files++
    bytes += Number(stats.size)
  }
  return { sha256: hash.digest('hex'), files, bytes }
}
