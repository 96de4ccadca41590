import { SystemError } from '../../../core/api.js'
import { isInside } from '../journal/path.js'
import type { Row } from '../tree.js'

/**
 * How rows stand in a piece of a manifest: each one's path after what it shares with the path before, times as the
 * difference to the row before, numbers as variable-length integers of 7 bits a byte.
 */
const kinds = { directory: 0, inline: 1, object: 2, link: 3 } as const

/** Bytes up to which a file's content stands in the manifest itself. */
export const inlineLimit = 512

const longestPath = 4096
/**
 * Seconds on either side of 1970 that a time may have: 34,000 years. Some file systems take any number of 64 bits from
 * a laptop, which would not stand in a manifest as they are.
 */
export const secondsLimit = 2 ** 40

/** Packs sorted rows. */
export function encodeRows(rows: readonly Row[]): Buffer {
  const out = new Writer()
  let path = ''
  let seconds = 0
  for (const row of rows) {
    const shared = sharedLength(path, row.path)
    out.byte(kindOf(row))
    out.number(shared)
    out.bytes(Buffer.from(row.path.slice(shared), 'latin1'))
    out.number(row.mode)
    out.number(zigzag(row.seconds - seconds))
    out.number(row.nanos)
    if (row.type === 'link') out.bytes(Buffer.from(row.target, 'latin1'))
    if (row.type === 'file') {
      if (typeof row.content === 'string') {
        out.number(row.size)
        out.raw(Buffer.from(row.content, 'hex'))
      } else out.bytes(row.content)
    }
    path = row.path
    seconds = row.seconds
  }
  return out.done()
}

/**
 * The rows of a piece.
 * @throws SystemError DAMAGED when it is not what encodeRows() makes: nothing of it can be trusted then
 */
export function* decodeRows(bytes: Buffer): Generator<Row> {
  const input = new Reader(bytes)
  let path = ''
  let before = ''
  let seconds = 0
  for (let first = true; !input.ended; first = false) {
    const kind = input.byte()
    const shared = input.number()
    if (shared > path.length) throw damaged('a path refers to more than there is before it')
    path = path.slice(0, shared) + input.bytes(longestPath).toString('latin1')
    if (!isInside(path)) throw damaged('a path leads out of the tree')
    if (!first && path <= before) throw damaged('its rows are out of order')
    before = path
    const mode = input.number()
    seconds += unzigzag(input.number())
    const nanos = input.number()
    if (mode > 0o7777 || nanos > 999_999_999 || Math.abs(seconds) > secondsLimit)
      throw damaged('a row has values that no file has')
    const common = { path, mode, seconds, nanos }
    if (kind === kinds.directory) yield { ...common, type: 'directory' }
    else if (kind === kinds.link)
      yield { ...common, type: 'link', target: input.bytes(longestPath).toString('latin1') }
    else if (kind === kinds.inline) {
      const content = input.bytes(inlineLimit)
      yield { ...common, type: 'file', size: content.length, content }
    } else if (kind === kinds.object) {
      const size = input.number()
      yield { ...common, type: 'file', size, content: input.raw(32).toString('hex') }
    } else throw damaged('a row is of no known kind')
  }
}

function kindOf(row: Row): number {
  if (row.type !== 'file') return kinds[row.type]
  return typeof row.content === 'string' ? kinds.object : kinds.inline
}

function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let length = 0
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length += 1
  return length
}

const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)
const unzigzag = (value: number): number => (value % 2 === 1 ? -(value + 1) / 2 : value / 2)

export const damaged = (what: string, cause?: unknown): SystemError =>
  new SystemError('DAMAGED', `a manifest is damaged: ${what}`, {
    hint: '"sugar-server backup verify" tells what else is, and --repair mends what can be mended',
    cause,
  })

class Writer {
  #buffer = Buffer.allocUnsafe(16 << 10)
  #length = 0

  byte(value: number): void {
    this.#room(1)
    this.#buffer[this.#length++] = value
  }

  number(value: number): void {
    this.#room(8)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#buffer[this.#length++] = (rest % 0x80) | 0x80
    this.#buffer[this.#length++] = rest
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  bytes(bytes: Uint8Array): void {
    this.number(bytes.length)
    this.raw(bytes)
  }

  done(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length))
  }

  #room(more: number): void {
    if (this.#length + more <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#buffer.length + more))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    const value = this.#bytes[this.#at++]
    if (value === undefined) throw damaged('it ends in the middle of a row')
    return value
  }

  number(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (!Number.isSafeInteger(value)) throw damaged('a number is too large')
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  raw(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#bytes.length) throw damaged('it ends in the middle of a row')
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return bytes
  }

  bytes(most: number): Buffer {
    const length = this.number()
    if (length > most) throw damaged('a row is longer than any can be')
    return this.raw(length)
  }
}
