import { join } from 'node:path'

/** Where things lie below `rsync-root`. All of it is on one file system, so that a rename is all it takes. */
export class Layout {
  /** What laptops see: each build in a directory of its own. */
  readonly builds: string
  /** What is not whole yet, and what is going. */
  readonly making: string
  /** What other servers send, while it comes; it outlasts a start. */
  readonly arriving: string
  /** State files of fakeroot. */
  readonly owners: string
  /** Links by which transfers reach builds. */
  readonly signposts: string

  constructor(root: string) {
    this.builds = join(root, 'pub', 'builds')
    this.making = join(root, 'making')
    this.arriving = join(root, 'arriving')
    this.owners = join(root, 'owners')
    this.signposts = join(root, 'signposts')
  }

  build(name: string): string {
    return join(this.builds, name)
  }

  state(name: string): string {
    return join(this.owners, name)
  }
}

/** In the directory of a build: its manifest, byte for byte, and its tree. */
export const manifest = 'contents'
export const tree = 'root'
