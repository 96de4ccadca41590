import { checkGlobal, type Extended, parseExtended } from './extended.js'
import { blockSize, type Header, parseHeader } from './header.js'
import { largestExtension } from './limits.js'
import { paddingOf } from './member.js'
import { incomplete, refusal } from './refusal.js'

/** An entry as its tar has it: what its own header says, unless one before it says something else. */
export interface Written extends Header {
  /** To be added to its seconds. */
  readonly nanos: number
}

const nothing: Extended = {}

/**
 * Reads the headers of a tar, as it comes and however it is cut, and hands on contents as they are. Where a header
 * ends and a content begins is decided here alone.
 */
export class Reader {
  /** Whether its end has come. What follows it is nothing, to GNU tar as well. */
  isOver = false
  readonly #enter: (written: Written, out: Buffer[]) => void
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

  /** @param enter told of each entry, before its content is handed on */
  constructor(enter: (written: Written, out: Buffer[]) => void) {
    this.#enter = enter
  }

  /** Reads on. @param out gets contents, as parts of `chunk` @throws RequestError for what is no tar */
  read(chunk: Buffer, out: Buffer[]): void {
    let at = 0
    while (at < chunk.length && !this.isOver) {
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
      this.isOver = true
      if (this.#isExtended) throw incomplete('the tar ends behind an extended header')
      return
    }
    if ('xgLK'.includes(header.type)) {
      this.#await(header)
      return
    }
    const written = this.#whole(header)
    this.#enter(written, out)
    // Of a hard link, as of GNU tar, no content follows, whatever its size says.
    this.#passing = header.type === '1' ? 0 : written.size + paddingOf(written.size)
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

  /** POSIX's extended headers count more than GNU's. */
  #whole(header: Header): Written {
    const { type, mode, major, minor } = header
    const { name, target, size, uid, gid, seconds, nanos } = this.#extended ?? nothing
    const written = {
      type,
      name: name ?? this.#longName ?? header.name,
      target: target ?? this.#longTarget ?? header.target,
      mode,
      uid: uid ?? header.uid,
      gid: gid ?? header.gid,
      size: size ?? header.size,
      seconds: seconds ?? header.seconds,
      nanos: nanos ?? 0,
      major,
      minor,
    }
    this.#extended = undefined
    this.#longName = undefined
    this.#longTarget = undefined
    return written
  }
}
