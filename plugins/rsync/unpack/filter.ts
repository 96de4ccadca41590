import { type Kind, type Ownership, unnamed } from './entry.js'
import { blockSize } from './header.js'
import {
  freelyPacked,
  type Limits,
  largestId,
  longestTarget,
  longestTime,
  mostRatio,
  tarOverhead,
} from './limits.js'
import { headerOf, type Member, paddingOf } from './member.js'
import { namesDirectory, pathOf } from './path.js'
import { Paths } from './paths.js'
import { Reader, type Written } from './reader.js'
import { incomplete, refusal, shown } from './refusal.js'
import { Tally } from './tally.js'

/**
 * How the tree keeps what files of ours cannot have: in attributes, with links as files that hold their targets (rsync's
 * `fake super`); or in a state file of fakeroot, with links behind a directory that is nowhere (its `munge symlinks`).
 */
export type Owners = 'attributes' | 'fakeroot'

/** What rsync puts in front of links, and takes away again from those that it sends. */
const nowhere = '/rsyncd-munged/'

export interface FilterSpec {
  readonly limits: Limits
  readonly owners: Owners
  /** Bytes of the packed tree. Of all of it: what packs best may come first. */
  readonly size: number
  /** Told whose each entry is; of one that comes twice, the last time counts. */
  own(path: string, ownership: Ownership): void
}

const kinds: Readonly<Record<string, Kind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '2': 'link',
  '3': 'character device',
  '4': 'block device',
  '5': 'directory',
  '6': 'fifo',
}

/** Why entries are not taken that GNU tar knows besides. */
const foreign: Readonly<Record<string, string>> = {
  D: 'is part of an incremental backup',
  M: 'goes on from another volume',
  N: 'renames files',
  S: 'is a sparse file',
  V: 'is the label of a volume',
}

/** All of a member but what it is. */
type Place = Pick<Member, 'path' | 'seconds' | 'nanos'>

/**
 * Makes a tar that can do no harm, whoever unpacks it, of one that may be hostile: files of mode 0600, directories of
 * mode 0700, hard links among them, and nothing else; each of them within the tree, and none below a link. It reads and
 * hands on a stream as it comes, and holds no more than the paths.
 *
 * Every method throws a RequestError for what is refused; the filter is of no use then.
 */
export class Filter {
  readonly tally = new Tally()
  readonly #spec: FilterSpec
  readonly #reader = new Reader((written, out) => this.#enter(written, out))
  readonly #paths: Paths
  /** Bytes of the tar so far. */
  #bytes = 0
  #devices = 0
  /** Directories that have something in them and have not been named, outermost first, until they are handed on. */
  readonly #parents: string[] = []
  #isTopNamed = false

  constructor(spec: FilterSpec) {
    this.#spec = spec
    this.#paths = new Paths(spec.limits, (path) => {
      this.#count(path, 1, true)
      this.#parents.push(path)
      spec.own(path, unnamed)
    })
  }

  /** Reads on. @param out gets what is to be unpacked; some of it are parts of `chunk` */
  read(chunk: Buffer, out: Buffer[]): void {
    this.#bytes += chunk.length
    this.#checkSize()
    this.#reader.read(chunk, out)
  }

  /** The tar has ended. */
  end(out: Buffer[]): void {
    this.#checkSize()
    if (!this.#reader.isOver) throw incomplete('the tar ends in the middle')
    if (this.tally.whole.entries === 0) throw incomplete('the tar is empty')
    if (!this.#isTopNamed) this.#spec.own('', unnamed)
    // Two empty blocks end a tar.
    out.push(Buffer.alloc(2 * blockSize))
  }

  /** What is packed, and how it is written, could fill any disk and take any time. */
  #checkSize(): void {
    const bytes = this.#bytes
    if (bytes > this.#spec.limits.bytes + tarOverhead) throw tooLarge(this.#spec.limits)
    if (bytes > freelyPacked && bytes > mostRatio * this.#spec.size) {
      throw refusal(`it is more than ${mostRatio} times larger than what it is packed in`)
    }
  }

  #enter(written: Written, out: Buffer[]): void {
    const path = pathOf(written.name)
    const { type, target, size, seconds, nanos } = written
    if (Math.abs(seconds) > longestTime) throw refusal(`${shown(path)} has a time that no disk can hold`)
    const place = { path, seconds, nanos }
    if (type === '1') {
      this.#link(place, written, out)
      return
    }
    const kind = kindOf(written, path)
    this.#own(path, kind, written)
    const content = contentOf(path, kind, written)
    if (path === '') this.#isTopNamed = true
    const isNew = path !== '' && this.#paths.enter(path, kind)
    this.#count(path, kind === 'directory' && isNew ? 1 : content, isNew)
    if (kind === 'directory') this.#hand(directoryAt(place), out)
    else if (kind === 'link') this.#handLink(place, target, out)
    else this.#hand(fileAt(place, size), out)
  }

  #own(path: string, kind: Kind, { mode, uid, gid, major, minor }: Written): void {
    for (const id of [uid, gid]) {
      if (id > largestId) throw refusal(`${shown(path)} belongs to ${id}, which is nobody's number`)
    }
    if (kind.endsWith('device')) {
      this.#devices += 1
      const most = this.#spec.limits.devices
      if (this.#devices > most) throw refusal(`it holds more than ${most} devices`)
      // The kernel's own bounds.
      if (major >= 2 ** 12 || minor >= 2 ** 20)
        throw refusal(`${shown(path)} is the device ${major},${minor}, which no kernel has`)
    }
    // Whatever is written of links, on a Linux they have no other mode.
    this.#spec.own(path, { kind, mode: kind === 'link' ? 0o777 : mode & 0o7777, uid, gid, major, minor })
  }

  #link(place: Place, written: Written, out: Buffer[]): void {
    const { path } = place
    const target = pathOf(written.target)
    const odd = [written.name, written.target].find(namesDirectory)
    if (odd !== undefined)
      throw refusal(`${shown(path)} is a hard link, with ${shown(odd)} as if that were a directory`)
    this.#paths.link(path, target)
    this.#count(path, 0, true)
    this.#hand({ ...place, type: '1', target, size: 0, mode: 0o600 }, out)
  }

  #handLink(place: Place, target: string, out: Buffer[]): void {
    if (this.#spec.owners === 'fakeroot') {
      this.#hand({ ...place, type: '2', target: nowhere + target, size: 0, mode: 0o600 }, out)
      return
    }
    const content = Buffer.from(target, 'latin1')
    this.#hand(fileAt(place, content.length), out)
    out.push(content, Buffer.alloc(paddingOf(content.length)))
  }

  /** Nothing is left to GNU tar, which would give a directory that is not named whatever mode it is started with. */
  #hand(member: Member, out: Buffer[]): void {
    const { seconds, nanos } = member
    for (const path of this.#parents.splice(0)) out.push(headerOf(directoryAt({ path, seconds, nanos })))
    out.push(headerOf(member))
  }

  #count(path: string, content: number, isNew: boolean): void {
    const { tally } = this
    const { entries, bytes } = this.#spec.limits
    tally.add(path, content, isNew)
    if (tally.whole.entries > entries) throw refusal(`it has more than ${entries} entries`)
    if (tally.whole.bytes > bytes) throw tooLarge(this.#spec.limits)
  }
}

const tooLarge = ({ bytes }: Limits) =>
  refusal(
    `it would take more than ${Math.floor(bytes / 1e6)} MB, which is the limit (rsync-tree-limit)`,
    'if it is meant to be so large, raise rsync-tree-limit',
  )

const directoryAt = ({ path, seconds, nanos }: Place): Member => {
  return { type: '5', path, target: '', mode: 0o700, size: 0, seconds, nanos }
}

const fileAt = ({ path, seconds, nanos }: Place, size: number): Member => {
  return { type: '0', path, target: '', mode: 0o600, size, seconds, nanos }
}

/** @throws RequestError for what is none, or is called as if it were another */
function kindOf({ type, name }: Written, path: string): Kind {
  const kind = kinds[type]
  if (kind === undefined)
    throw refusal(`${shown(path)} ${foreign[type] ?? `is of the unknown type ${shown(type)}`}`)
  // As tars did before they knew directories.
  if (kind === 'file' && name.endsWith('/')) return 'directory'
  if (path === '' && kind !== 'directory') throw refusal('the top of the tree is no directory')
  if (kind !== 'directory' && namesDirectory(name))
    throw refusal(`${shown(path)}, a ${kind}, is called ${shown(name)}, as if it were a directory`)
  return kind
}

/** Bytes of what is written for an entry. @throws RequestError */
function contentOf(path: string, kind: Kind, { size, target }: Written): number {
  if (kind === 'file') return size
  if (size !== 0) throw refusal(`${shown(path)}, a ${kind}, has a content`)
  if (kind !== 'link') return 0
  if (target === '' || target.includes('\0')) throw refusal(`the link ${shown(path)} leads nowhere`)
  if (target.length > longestTarget - nowhere.length)
    throw refusal(`the target of ${shown(path)} is too long`)
  return target.length
}
