import { randomBytes } from 'node:crypto'
import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError } from '../../../core/api.js'
import type { BuildDoc, Seen } from '../documents.js'
import type { PackedBuild, Progress } from '../public.js'
import type { Owners } from '../unpack/filter.js'
import type { Limits } from '../unpack/limits.js'
import { giveAttributes, giveLook } from '../unpack/own.js'
import type { Sums } from '../unpack/packed-file.js'
import { unpackTree } from '../unpack/unpack.js'
import { flushTree } from './disk.js'
import type { Draft } from './draft.js'
import { fixUp } from './fix-up.js'
import { manifest } from './layout.js'
import { copyManifest } from './manifest.js'
import { lookLine, writeState } from './state.js'
import { telling } from './telling.js'

/** A build of `rsync-packed`, with what is known of it there. */
export interface StockedBuild extends PackedBuild {
  readonly packedAs: string
  readonly seen: Seen
  /** The sum that its packed tree must have; undefined where nobody says. */
  readonly md5: string | undefined
  /** Sees that its files are those of before: nothing sums all of them together. @throws RequestError DAMAGED */
  stillSame(): Promise<void>
}

/**
 * Makes a draft whole: unpacked, fixed up, with its manifest, on the disk, and sealed.
 * @throws RequestError REQUEST_INVALID, DAMAGED for a wrong sum, NOT_FOUND; SystemError; the reason of the signal
 */
export async function make(
  draft: Draft,
  packed: PackedBuild | StockedBuild,
  { owners, limits }: { owners: Owners; limits: Limits },
  told: Progress,
): Promise<BuildDoc> {
  const { name, from } = packed
  const { notes, unpacked } = draft
  const { signal } = told
  const note = (line: string) => told.note(line)
  const progress = telling(name, note)
  for (const folder of [unpacked, draft.build]) await mkdir(folder, { mode: 0o700 })
  const { tally, sums } = await unpackTree({
    ...{ packed: packed.tree, to: unpacked, owners, notes, limits, signal, progress },
    unpacked: (bytes) => told.unpacked?.(bytes),
  })
  checkSums(packed, sums)
  note(`${name}: unpacked; writing it to the disk`)
  if (owners === 'attributes') await giveAttributes(notes, unpacked, signal)
  const fixed = await fixUp(draft, tally)
  if (owners === 'fakeroot') await writeState(notes, fixed, draft.state, signal)
  await copyManifest(packed.contents, draft.manifest)
  await giveLooks(draft.build, owners === 'attributes' ? owners : { fakeroot: draft.state }, signal)
  await flushTree(draft.folder, signal)
  if ('stillSame' in packed) await packed.stillSame()
  const build: BuildDoc = {
    ...{ name, digest: sums.sha256, ...fixed.sum, publishedAt: new Date().toISOString(), from },
    ...('packedAs' in packed && {
      ...{ packedAs: packed.packedAs, seen: packed.seen },
      ...(packed.md5 !== undefined && { md5: packed.md5 }),
    }),
    ...(owners === 'fakeroot' && { fakeroot: `${name}.${randomBytes(8).toString('hex')}` }),
  }
  await draft.seal(build)
  return build
}

/**
 * Has what is around a tree look as it should: a laptop may fetch a whole module.
 * @param build the directory that holds both @throws as giveLook() does
 */
export async function giveLooks(
  build: string,
  owners: 'attributes' | { readonly fakeroot: string },
  signal: AbortSignal,
): Promise<void> {
  const around = [
    [build, 'directory'],
    [join(build, manifest), 'file'],
  ] as const
  for (const [path, kind] of around) {
    if (owners === 'attributes') await giveLook(path, kind, signal)
    else await appendFile(owners.fakeroot, await lookLine(path, kind))
  }
}

/** @throws RequestError DAMAGED when a packed tree has not the sums that it should have */
export function checkSums(packed: PackedBuild | StockedBuild, { sha256, md5 }: Sums): void {
  const wanted = 'md5' in packed ? packed.md5 : undefined
  if (wanted !== undefined && wanted !== md5) throw damaged(packed, 'md5', md5, wanted)
  if (packed.digest !== undefined && packed.digest !== sha256)
    throw damaged(packed, 'sha256', sha256, packed.digest)
}

const damaged = ({ tree }: PackedBuild, kind: string, is: string, should: string): RequestError =>
  new RequestError('DAMAGED', `${tree} has the ${kind} sum ${is}, and should have ${should}`, {
    hint: 'get it anew from where it came from',
  })
