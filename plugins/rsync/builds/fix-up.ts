import { lstat, mkdir, rename, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { refusal, shown } from '../unpack/refusal.js'
import type { Sum, Tally } from '../unpack/tally.js'
import type { Draft } from './draft.js'

/** What has become of what was unpacked. */
export interface FixedUp {
  readonly sum: Sum
  /** The directory of the tree, and that of what was left out. */
  readonly tree: string
  readonly rest: string
  /** Where an entry of the tar is in the tree, one character a byte; undefined for what was left out. */
  placeOf(path: string): string | undefined
}

/**
 * Makes the tree of a build of what came out of its tar, as the XS did: of a tree that holds several, as laptops keep
 * them in `versions/pristine/`, the first one by name; otherwise the whole without `versions/`. It is done by renames,
 * when all is unpacked: only then it is known what there is, and a hard link between the parts still leads somewhere.
 * @throws RequestError REQUEST_INVALID
 * @see docs/reference/protocols.md: Builds
 */
export async function fixUp(draft: Draft, tally: Tally): Promise<FixedUp> {
  const { unpacked } = draft
  const first = tally.firstPristine
  if (first !== undefined) {
    const chosen = Buffer.concat([
      Buffer.from(join(unpacked, 'versions', 'pristine', '/')),
      Buffer.from(first.name, 'latin1'),
    ])
    if (!(await lstat(chosen)).isDirectory())
      throw refusal(`${shown(`versions/pristine/${first.name}`)} is not the directory of a tree`)
    await rename(chosen, draft.tree)
    const placeOf = (path: string) => below(`versions/pristine/${first.name}`, path)
    return { sum: first.sum, tree: draft.tree, rest: unpacked, placeOf }
  }
  const versions = join(unpacked, 'versions')
  const hasVersions = (await lstat(versions).catch(() => undefined))?.isDirectory() === true
  const rest = join(draft.folder, 'rest')
  if (hasVersions) await leaveOut(unpacked, rest)
  await rename(unpacked, draft.tree)
  const placeOf = (path: string) => (hasVersions && below('versions', path) !== undefined ? undefined : path)
  return { sum: hasVersions ? tally.withoutVersions : tally.whole, tree: draft.tree, rest, placeOf }
}

/** What follows a directory in a path: `''` for itself, undefined for what is elsewhere. */
function below(folder: string, path: string): string | undefined {
  if (path === folder) return ''
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined
}

/** Moves `versions` out of a tree, whose own time stays as it was packed. */
async function leaveOut(unpacked: string, rest: string): Promise<void> {
  const { atime, mtimeMs } = await stat(unpacked)
  await mkdir(rest)
  await rename(join(unpacked, 'versions'), join(rest, 'versions'))
  // Whole milliseconds: a rounded one must not become the next second.
  await utimes(unpacked, atime, Math.floor(mtimeMs) / 1000)
}
