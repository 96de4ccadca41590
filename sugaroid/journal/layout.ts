import {
  closeSync,
  existsSync,
  fchmodSync,
  futimesSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { makeFolders } from '../files.js'
import type { Entry, Properties } from './entry.js'

// Layout 6 of sugar-datastore: docs/reference/protocols.md: backup, The Journal on disk. The calls are synchronous,
// an entry at a time: for tens of thousands of small files that is several times faster than promises.

/** Where Sugar has the Journal of its first profile. */
export const datastoreOf = (home: string): string => join(home, 'default', 'datastore')

export const entryPath = (datastore: string, uid: string): string => join(datastore, uid.slice(0, 2), uid)

/** Contents are never changed by anybody: whoever saves an entry puts another file in the place of the old one. */
const dataMode = 0o444

/** Writes a whole file with its time, in seconds since 1970; it is new, or replaces the old one in one step. As Sugar's, not synced. */
function putFile(path: string, content: string | Buffer, changed: number, mode?: number): void {
  const temporary = join(dirname(path), `.${basename(path)}`)
  const file = openSync(temporary, 'w')
  try {
    const bytes = Buffer.from(content)
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
    if (mode !== undefined) fchmodSync(file, mode)
    futimesSync(file, changed, changed)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
}

/** Makes the datastore as Sugar leaves it when it ends in peace; what is there already stays. */
export function putFrame(datastore: string, changed: number): void {
  makeFolders(join(datastore, 'checksums', 'queue'))
  putFile(join(datastore, 'version'), '6', changed)
  putFile(join(datastore, 'index_updated'), '', changed)
  putFile(join(datastore, 'ds_clean'), '', changed)
}

/** Sets properties of an entry; the others stay. */
export function putProperties(datastore: string, uid: string, properties: Properties, changed: number): void {
  const metadata = join(entryPath(datastore, uid), 'metadata')
  makeFolders(metadata)
  for (const [name, value] of Object.entries(properties)) putFile(join(metadata, name), value, changed)
  for (const directory of [metadata, dirname(metadata)]) utimesSync(directory, changed, changed)
}

/** Puts an entry's data in place, and the mark by which the Journal finds data it has twice. */
export function putData(
  datastore: string,
  uid: string,
  data: Buffer,
  checksum: string,
  changed: number,
): void {
  const place = entryPath(datastore, uid)
  makeFolders(place)
  putFile(join(place, 'data'), data, changed, dataMode)
  const mark = join(datastore, 'checksums', checksum)
  makeFolders(mark)
  putFile(join(mark, uid), '', changed)
  for (const directory of [mark, place]) utimesSync(directory, changed, changed)
}

/** Takes away the mark of data that an entry has no longer; `checksum` is empty for an entry that had none. */
export function removeMark(datastore: string, uid: string, checksum: string): void {
  if (!/^[0-9a-f]{32}$/.test(checksum)) return
  const mark = join(datastore, 'checksums', checksum)
  rmSync(join(mark, uid), { force: true })
  if (existsSync(mark) && readdirSync(mark).length === 0) rmdirSync(mark)
}

/** Writes a new entry, data first: the properties are what the Journal shows. */
export function putEntry(datastore: string, { uid, changed, properties, data }: Entry): void {
  const { checksum } = properties
  if (data && typeof checksum === 'string') putData(datastore, uid, data, checksum, changed)
  putProperties(datastore, uid, properties, changed)
}

export function removeEntry(datastore: string, uid: string): void {
  rmSync(entryPath(datastore, uid), { recursive: true })
}

/** The names in a directory, sorted; none when it is not there. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** The uids of all entries, sorted. */
export async function listEntries(datastore: string): Promise<string[]> {
  const uids: string[] = []
  for (const folder of await namesIn(datastore)) {
    if (/^[0-9a-f]{2}$/.test(folder)) uids.push(...(await namesIn(join(datastore, folder))))
  }
  return uids
}
