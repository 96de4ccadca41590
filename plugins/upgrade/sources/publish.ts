import { RequestError } from '../../../core/api.js'
import type { Build } from '../../rsync/public.js'
import type { Partial } from '../download/partial.js'
import { check, type Sum } from './checksum.js'
import { passes } from './fault.js'
import type { Site } from './source.js'

/** How large a tree is once it is unpacked, in terms of what it was: builds measure 3 to 4. */
const growth = 5

/** The room that a packed tree takes, as far as that can be said before it is unpacked. */
export const unpackedSize = (packed: number): number => packed * growth

/** Bytes that a manifest may have. */
export const longestManifest = 64 << 20

/** Laptops ask for the manifest before anything else. */
export const noManifest = (places: readonly string[]): RequestError =>
  new RequestError('REFUSED', `there is no manifest, neither ${places.join(' nor ')}`)

/** A tree does not hash to what it must. */
export class WrongSum extends RequestError {}

/**
 * Publishes a build that has come, if it is what its sum says. If it is not, or holds what is refused, it is thrown away.
 * @throws WrongSum; what installing throws
 */
export async function publish(
  site: Site,
  from: string,
  { partial, manifest, sum }: { partial: Partial; manifest: string; sum: Sum },
): Promise<Build> {
  const { name, builds, signal, note } = site
  site.unpacking(0)
  const { digest, right } = await check(partial.path, sum, signal)
  if (!right) {
    await partial.discard()
    throw new WrongSum('DAMAGED', `${from} is not what its ${sum.algorithm} sum says: it was thrown away`)
  }
  const packed = { name, tree: partial.path, contents: manifest, digest, from: 'upgrade' }
  try {
    return await builds.install(packed, { note, unpacked: (bytes) => site.unpacking(bytes), signal })
  } catch (error) {
    if (error instanceof RequestError && !passes(error)) await partial.discard()
    throw error
  }
}
