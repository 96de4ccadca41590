import { createReadStream } from 'node:fs'
import { copyFile, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { RequestError, systemCode } from '../../../core/api.js'
import type { Build } from '../../rsync/public.js'
import { Partial } from '../download/partial.js'
import { fullDisk } from '../full-disk.js'
import { longestSums, noSum, type Sum, sumOf } from './checksum.js'
import { type Candidate, candidates, sums } from './packed.js'
import { longestManifest, noManifest, publish, unpackedSize } from './publish.js'
import type { Offer, Site, Source } from './source.js'

/** Packed builds in a directory: of a disk that travels, or of a share. */
export class Directory implements Source {
  readonly shown: string

  constructor(path: string) {
    this.shown = path
  }

  async find(name: string): Promise<Offer | undefined> {
    const folder = await stat(this.shown).catch((error: unknown) => {
      throw unreadable(this.shown, error)
    })
    if (!folder.isDirectory()) throw new RequestError('UNAVAILABLE', `${this.shown} is no directory`)
    for (const candidate of candidates('{name}', name)) {
      const at = (file: string) => join(this.shown, file)
      const found = { tree: at(candidate.tree), manifests: candidate.manifests.map(at) }
      if ((await sizeOf(found.tree)) !== undefined) return { bring: (site) => bring(site, found) }
    }
    return undefined
  }
}

/** Copies it before it is looked at: what is checked is what is unpacked, even where a stick is pulled out. */
async function bring(site: Site, { tree, manifests }: Candidate): Promise<Build> {
  const sum = await sumBeside(tree)
  const size = await sizeOf(tree)
  if (size === undefined) throw new RequestError('UNAVAILABLE', `${tree} has just gone`)
  const partial = await Partial.open(site.folder)
  // What has come from elsewhere makes place for it.
  site.progress(partial.size, size)
  await site.makeRoom(Math.max(0, size - partial.size), unpackedSize(size))
  await partial.begin({ from: tree, sum: `${sum.algorithm}:${sum.hex}` })
  const manifest = join(site.folder, 'contents')
  await copyManifest(manifests, manifest)
  try {
    await partial.append(async (add) => {
      for await (const chunk of createReadStream(tree, { highWaterMark: 1 << 20, signal: site.signal })) {
        if (partial.size + chunk.length > size)
          throw new RequestError('UNAVAILABLE', `${tree} grows while it is read`)
        await add(chunk)
        site.progress(partial.size, size)
      }
    })
  } catch (error) {
    await partial.discard()
    if (site.signal.aborted) throw site.signal.reason
    throw unreadable(tree, error)
  }
  return await publish(site, tree, { partial, manifest, sum })
}

async function copyManifest(manifests: readonly string[], to: string): Promise<void> {
  for (const from of manifests) {
    const size = await sizeOf(from)
    if (size === undefined) continue
    if (size > longestManifest)
      throw new RequestError('REFUSED', `${from} is longer than ${longestManifest} bytes`)
    return await copyFile(from, to).catch((error: unknown) => {
      throw unreadable(from, error)
    })
  }
  throw noManifest(manifests)
}

async function sumBeside(tree: string): Promise<Sum> {
  for (const { end, algorithm } of sums) {
    const path = tree + end
    const size = await sizeOf(path)
    if (size === undefined) continue
    const text =
      size > longestSums
        ? ''
        : await readFile(path, 'latin1').catch((error: unknown) => {
            throw unreadable(path, error)
          })
    const sum = sumOf(text, basename(tree), algorithm)
    if (sum !== undefined) return sum
    throw new RequestError('REFUSED', `${path} holds no ${algorithm} sum of ${basename(tree)}`)
  }
  throw noSum(tree)
}

/** Of a regular file; undefined where there is none. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path)
    return found.isFile() ? found.size : undefined
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw unreadable(path, error)
  }
}

/** Why a file cannot be read, or its copy not be written. */
function unreadable(path: string, error: unknown): RequestError {
  if (error instanceof RequestError) return error
  const why = systemCode(error) ?? 'it failed'
  return (
    fullDisk(error) ?? new RequestError('UNAVAILABLE', `${path} cannot be read (${why})`, { cause: error })
  )
}
