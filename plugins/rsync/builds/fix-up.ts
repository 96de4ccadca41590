import { mkdir, rename, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { refusal, shown } from '../unpack/refusal.js'
import type { Sum, Tally } from '../unpack/tally.js'
import type { Draft } from './draft.js'

/**
 * Makes the tree of a build of what came out of its tar, as the XS did: of a tree that holds several, as laptops keep
 * them in `versions/pristine/`, the first one by name; otherwise the whole without `versions/`. It is done by renames,
 * when all is unpacked: only then it is known what there is, and a hard link between the parts still leads somewhere.
 * @returns what the tree has
 * @throws RequestError REQUEST_INVALID
 * @see docs/reference/protocols.md: Builds
 */
export async function fixUp(draft: Draft, tally: Tally): Promise<Sum> {
  const { unpacked } = draft
  const first = tally.firstPristine
  if (first !== undefined) {
    const chosen = Buffer.concat([
      Buffer.from(join(unpacked, 'versions', 'pristine', '/')),
      Buffer.from(first.name, 'latin1'),
    ])
    if (!(await stat(chosen)).isDirectory())
      throw refusal(`${shown(`versions/pristine/${first.name}`)} is not the directory of a tree`)
    await rename(chosen, draft.tree)
    return first.sum
  }
  const versions = join(unpacked, 'versions')
  const hasVersions = (await stat(versions).catch(() => undefined))?.isDirectory() === true
  if (hasVersions) await leaveOut(versions, draft)
  await rename(unpacked, draft.tree)
  return hasVersions ? tally.withoutVersions : tally.whole
}

/** Moves a directory out of a tree, whose own time stays as it was packed. */
async function leaveOut(path: string, { folder, unpacked }: Draft): Promise<void> {
  const { atime, mtimeMs } = await stat(unpacked)
  const rest = join(folder, 'rest')
  await mkdir(rest)
  await rename(path, join(rest, 'versions'))
  // Whole milliseconds: a rounded one must not become the next second.
  await utimes(unpacked, atime, Math.floor(mtimeMs) / 1000)
}
