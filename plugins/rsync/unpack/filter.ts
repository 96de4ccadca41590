import { type Kind, type Ownership, unnamed } from './entry.js'
import { checkGlobal, type Extended, parseExtended } from './extended.js'
import { blockSize, type Header, parseHeader } from './header.js'
import {
  freelyPacked,
  type Limits,
  largestExtension,
  largestId,
  longestTarget,
  longestTime,
  mostRatio,
  tarOverhead,
} from './limits.js'
import { headerOf, type Member, paddingOf } from './member.js'
import { pathOf } from './path.js'
import { Paths } from './paths.js'
import { refusal, shown } from './refusal.js'
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
  /** Bytes of the packed tree that have been read by now. */
  packed(): number
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
  readonly #paths: Paths
  /** Bytes of the tar so far. */
  #bytes = 0
  #devices = 0
  /** Bytes of a content, with its padding, that are still to be handed on. */
  #passing = 0
  /** Bytes of a header, or of the content of one that belongs to the next, which are taken together. */
  #wanted = blockSize
  /** As many of them as have come already, when that is not all: at the beginning of a buffer. */
  #part = { bytes: Buffer.alloc(0), length: 0 }
  /** The header whose content is wanted. */
  #before: Header | undefined
  #extended: Extended | undefined
  #longName: string | undefined
  #longTarget: string | undefined
  #isOver = false
  #isTopNamed = false

  constructor(spec: FilterSpec) {
    this.#spec = spec
    this.#paths = new Paths(spec.limits, (path) => {
      this.#count(path, 1, true)
      spec.own(path, unnamed)
    })
  }

  /** Reads on. @param out gets what is to be unpacked; some of it are parts of `chunk` */
  read(chunk: Buffer, out: Buffer[]): void {
    this.#bytes += chunk.length
    this.#checkSize()
    let at = 0
    // What follows the end of a tar is nothing, to GNU tar as well.
    while (at < chunk.length && !this.#isOver) {
      const rest = chunk.length - at
      if (this.#passing > 0) {
        const length = Math.min(rest, this.#passing)
        out.push(chunk.subarray(at, at + length))
        this.#passing -= length
        at += length
        continue
      }
      const length = Math.min(rest, this.#wanted - this.#part.length)
      const whole = this.#gather(chunk.subarray(at, at + length))
      at += length
      if (whole !== undefined) this.#take(whole, out)
    }
  }

  /** @returns all that is wanted, when this was the rest of it */
  #gather(more: Buffer): Buffer | undefined {
    const part = this.#part
    if (part.length === 0) {
      if (more.length === this.#wanted) return more
      part.bytes = Buffer.alloc(this.#wanted)
    }
    part.length += more.copy(part.bytes, part.length)
    if (part.length < this.#wanted) return undefined
    part.length = 0
    return part.bytes
  }

  /** The tar has ended. */
  end(out: Buffer[]): void {
    this.#checkSize()
    if (!this.#isOver) throw refusal('the tar ends in the middle')
    if (this.tally.whole.entries === 0) throw refusal('the tar is empty')
    if (!this.#isTopNamed) this.#spec.own('', unnamed)
    // Two empty blocks end a tar.
    out.push(Buffer.alloc(2 * blockSize))
  }

  /** What is packed, and how it is written, could fill any disk and take any time. */
  #checkSize(): void {
    const bytes = this.#bytes
    if (bytes > this.#spec.limits.bytes + tarOverhead) throw tooLarge(this.#spec.limits)
    if (bytes > freelyPacked && bytes > mostRatio * this.#spec.packed()) {
      throw refusal(`it is more than ${mostRatio} times larger than what it is packed in`)
    }
  }

  #take(part: Buffer, out: Buffer[]): void {
    const before = this.#before
    this.#wanted = blockSize
    this.#before = undefined
    if (before !== undefined) {
      this.#extend(before, part.subarray(0, before.size))
      return
    }
    const header = parseHeader(part)
    if (header === undefined) {
      this.#isOver = true
      if (this.#isExtended) throw refusal('the tar ends behind an extended header')
      return
    }
    if ('xgLK'.includes(header.type)) this.#await(header)
    else this.#enter(header, out)
  }

  get #isExtended(): boolean {
    return [this.#extended, this.#longName, this.#longTarget].some((one) => one !== undefined)
  }

  /** The content of this header says something of the next one. */
  #await(header: Header): void {
    const { type, size } = header
    if (size < 1 || size > largestExtension) throw refusal(`an extended header has ${size} bytes`)
    const known = { x: this.#extended, L: this.#longName, K: this.#longTarget }[type]
    if (known !== undefined) throw refusal('two extended headers say the same of one entry')
    this.#before = header
    this.#wanted = size + paddingOf(size)
  }

  #extend({ type }: Header, content: Buffer): void {
    if (type === 'x') this.#extended = parseExtended(content)
    else if (type === 'g') checkGlobal(content)
    else {
      const text = content.toString('latin1').replace(/\0$/, '')
      if (type === 'L') this.#longName = text
      else this.#longTarget = text
    }
  }

  #enter(header: Header, out: Buffer[]): void {
    const extended = this.#extended ?? {}
    const name = extended.path ?? this.#longName ?? header.name
    const target = extended.target ?? this.#longTarget ?? header.target
    this.#extended = undefined
    this.#longName = undefined
    this.#longTarget = undefined

    const path = pathOf(name)
    const size = extended.size ?? header.size
    const { seconds = header.seconds, nanos = 0 } = extended
    if (Math.abs(seconds) > longestTime) throw refusal(`${shown(path)} has a time that no disk can hold`)
    if (header.type === '1') {
      this.#link({ path, target: pathOf(target), seconds, nanos }, out)
      return
    }
    const written = kinds[header.type]
    if (written === undefined)
      throw refusal(
        `${shown(path)} ${foreign[header.type] ?? `is of the unknown type ${shown(header.type)}`}`,
      )
    // As tars did before they knew directories.
    const kind = written === 'file' && name.endsWith('/') ? 'directory' : written
    if (path === '' && kind !== 'directory') throw refusal('the top of the tree is no directory')
    this.#own(path, kind, header, extended)
    if (path === '') this.#isTopNamed = true
    const content = contentOf(path, kind, size, target)
    const isNew = path !== '' && this.#paths.enter(path, kind)
    this.#count(path, kind === 'directory' && isNew ? 1 : content, isNew)
    const member = { path, target: '', size: 0, seconds, nanos, mode: 0o600 }
    if (kind === 'directory') this.#hand({ ...member, type: '5', mode: 0o700 }, out)
    else if (kind === 'link') this.#handLink(member, target, out)
    else this.#hand({ ...member, type: '0', size }, out)
    this.#passing = size + paddingOf(size)
  }

  #own(path: string, kind: Kind, { mode, major, minor, ...ids }: Header, extended: Extended): void {
    const { uid = ids.uid, gid = ids.gid } = extended
    for (const id of [uid, gid]) {
      if (id < 0 || id > largestId) throw refusal(`${shown(path)} belongs to ${id}, which is nobody's number`)
    }
    if (kind.endsWith('device')) {
      this.#devices += 1
      const most = this.#spec.limits.devices
      if (this.#devices > most) throw refusal(`it holds more than ${most} devices`)
      // The kernel's own bounds.
      if (major < 0 || minor < 0 || major >= 2 ** 12 || minor >= 2 ** 20)
        throw refusal(`${shown(path)} is the device ${major},${minor}, which no kernel has`)
    }
    this.#spec.own(path, { kind, mode: mode & 0o7777, uid, gid, major, minor })
  }

  #link(
    { path, target, ...times }: Pick<Member, 'path' | 'target' | 'seconds' | 'nanos'>,
    out: Buffer[],
  ): void {
    this.#paths.link(path, target)
    this.#count(path, 0, true)
    // Of a hard link, as of GNU tar, no content follows, whatever its size says.
    this.#hand({ ...times, type: '1', path, target, size: 0, mode: 0o600 }, out)
  }

  #handLink(member: Omit<Member, 'type'>, target: string, out: Buffer[]): void {
    if (this.#spec.owners === 'fakeroot') {
      this.#hand({ ...member, type: '2', target: nowhere + target }, out)
      return
    }
    const content = Buffer.from(target, 'latin1')
    this.#hand({ ...member, type: '0', size: content.length }, out)
    out.push(content, Buffer.alloc(paddingOf(content.length)))
  }

  #hand(member: Member, out: Buffer[]): void {
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
  refusal(`it would take more than ${Math.floor(bytes / 1e6)} MB, which is the limit (rsync-tree-limit)`)

/** Bytes of what is written for an entry. @throws RequestError */
function contentOf(path: string, kind: Kind, size: number, target: string): number {
  if (kind !== 'file') {
    if (size !== 0) throw refusal(`${shown(path)}, a ${kind}, has a content`)
    if (kind !== 'link') return 0
    if (target === '' || target.includes('\0')) throw refusal(`the link ${shown(path)} leads nowhere`)
    if (target.length > longestTarget - nowhere.length)
      throw refusal(`the target of ${shown(path)} is too long`)
    return target.length
  }
  if (size < 0) throw refusal(`${shown(path)} has the size ${size}`)
  return size
}
