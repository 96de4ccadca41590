import { join } from 'node:path'

/** Where things are in the archive. Everything lies on one file system, so that files move by rename and link. */
export class Layout {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  /** What a laptop's sessions see: `datastore-current`, `documents`, `power-logs` as plain files. */
  live(uid: string): string {
    return join(this.root, 'live', checked(uid))
  }

  /** What comes to a live tree and is not whole yet: below it, so that a confined rsync can move it to its place. */
  temporary(uid: string): string {
    return join(this.live(uid), temporaryOfLive)
  }

  get lives(): string {
    return join(this.root, 'live')
  }

  /** A learner's snapshots: `<id>.snapshot`, and `<id>.held` beside those on hold. Out of reach of any session. */
  snapshots(uid: string): string {
    return join(this.root, 'snapshots', checked(uid))
  }

  get allSnapshots(): string {
    return join(this.root, 'snapshots')
  }

  get objects(): string {
    return join(this.root, 'objects')
  }

  /** For what is being made. Emptied at each start. */
  get scratch(): string {
    return join(this.root, 'scratch')
  }
}

/** What a uid looks like; as a path it names one directory and cannot leave the one above. */
export const uidForm = /^[0-9a-f]{40}$/

function checked(uid: string): string {
  if (!uidForm.test(uid)) throw new TypeError(`not a uid: ${uid}`)
  return uid
}

/** The place of a Journal in what a laptop sends, and the one of its documents. */
export const datastore = 'datastore-current'
export const documents = 'documents'

/** In a live tree, out of reach of what laptops can name. Emptied before each session. */
export const temporaryOfLive = '.temporary'

/**
 * Where rsync keeps what has come of a file when a session breaks off, in the directory of that file: so that no file
 * of a live tree is ever cut short, and the next session goes on with it. rsync's own name for such a directory.
 */
export const partialDirectory = '.rsync-partial'

/** Of a live tree, what is worth a history; by the names that paths in snapshots begin with. */
export const placesOfLive = { [datastore]: datastore, [documents]: documents }
