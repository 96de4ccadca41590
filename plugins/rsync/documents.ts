import type { CollectionSpec } from '../../core/api.js'
import type { Build } from './public.js'

/** Which file it was, and of when. */
export interface Seen {
  readonly size: number
  readonly mtimeMs: number
  /** Who copies a file over another may give it the old one's time; the time of that change is nobody's to give. */
  readonly ctimeMs: number
  readonly ino: number
}

/** A published build, and the files of `rsync-packed` that it came from. */
export interface BuildDoc extends Omit<Build, 'path'> {
  /** `X` of `X-tree.tar.bz2`, for builds of `rsync-packed`. */
  readonly packedAs?: string
  /** Size and times of its packed tree when it was read: what is the same is not read again. */
  readonly seen?: Seen
  /** The md5 sum that was asked of the packed tree, and that it has. */
  readonly md5?: string
  /** Where the disk keeps no attributes: name of the file below `owners` that tells fakeroot whose everything is. */
  readonly fakeroot?: string
}

/** A directory that an operator published. */
export interface PublishedDoc {
  readonly name: string
  readonly path: string
}

const builds: CollectionSpec<BuildDoc> = { key: 'name' }
const published: CollectionSpec<PublishedDoc> = { key: 'name' }

export const collections = { builds, published }
