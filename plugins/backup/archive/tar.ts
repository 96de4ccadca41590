import { SystemError } from '../../../core/api.js'
import { bytesOf } from '../journal/path.js'
import type { BytePath, FileRow, Row, Tree } from '../tree.js'

const block = 512
const types = { file: '0', link: '2', directory: '5', longName: 'L', longLink: 'K', extended: 'x' } as const

/** Bytes handed on at once: a call for each of 32,000 small files would cost seconds. */
const chunkSize = 64 << 10

/**
 * A tree as a tar stream as GNU tar and Python's tarfile read it: paths of any bytes and any length, any time, to the
 * nanosecond. No library does that: their names are texts, and their times end in 2038 or 2242.
 * A file that is damaged ends it with an error: better none than one that is short.
 * @param place what becomes of a row, its path that in the archive; undefined leaves it out
 * @throws SystemError DAMAGED
 */
export async function* tarOf(tree: Tree, place: (row: Row) => Row | undefined): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = []
  let size = 0
  for await (const piece of members(tree, place)) {
    waiting.push(piece)
    size += piece.length
    if (size < chunkSize) continue
    yield Buffer.concat(waiting)
    waiting = []
    size = 0
  }
  yield Buffer.concat(waiting)
}

async function* members(tree: Tree, place: (row: Row) => Row | undefined): AsyncGenerator<Buffer> {
  for (const row of tree.rows()) {
    const placed = place(row)
    if (placed === undefined) continue
    yield tarHeader(placed)
    if (row.type !== 'file') continue
    yield* contentOf(tree, row)
    yield padding(row.size)
  }
  // Two empty blocks end an archive.
  yield Buffer.alloc(2 * block)
}

/** As many bytes as the header promised, or an error: anything else would shift all that follows. */
async function* contentOf(tree: Tree, row: FileRow): AsyncGenerator<Buffer> {
  let left = row.size
  for await (const piece of tree.pieces(row)) {
    left -= piece.length
    if (left < 0) break
    yield piece
  }
  if (left !== 0) {
    throw new SystemError('DAMAGED', 'a file of the Journal is not as long as it was', {
      hint: 'restore an older snapshot',
    })
  }
}

/** What follows a content, so that the next header begins at a block. */
const padding = (size: number): Buffer => Buffer.alloc((block - (size % block)) % block)

/** The header of a row; its path, and that of a link's target, may need members of their own before it. */
export function tarHeader(row: Row): Buffer {
  const parts: Buffer[] = []
  // The top itself is written as tar does: `./`.
  const path = row.path === '' ? Buffer.from('.') : bytesOf(row.path)
  const name = Buffer.concat([path, Buffer.from(row.type === 'directory' ? '/' : '')])
  const target = Buffer.from(row.type === 'link' ? row.target : '', 'latin1')
  if (row.nanos !== 0) parts.push(member(types.extended, 'mtime', timeRecord(row)))
  if (name.length > 100) parts.push(member(types.longName, '././@LongLink', ended(name)))
  if (target.length > 100) parts.push(member(types.longLink, '././@LongLink', ended(target)))
  const { mode, seconds } = row
  const size = row.type === 'file' ? row.size : 0
  parts.push(head({ type: types[row.type], name, target, mode, seconds, size }))
  return Buffer.concat(parts)
}

/** With the NUL that ends it. */
const ended = (text: Buffer): Buffer => Buffer.concat([text, Buffer.alloc(1)])

/** A header whose content is not a file's but belongs to the next header. */
function member(type: string, name: BytePath, content: Buffer): Buffer {
  const header = head({
    type,
    name: Buffer.from(name),
    target: Buffer.alloc(0),
    mode: 0o644,
    seconds: 0,
    size: content.length,
  })
  return Buffer.concat([header, content, padding(content.length)])
}

/** `LENGTH mtime=SECONDS.NANOS\n`, the length that of the whole record. Times before 1970 count up to zero too. */
function timeRecord({ seconds, nanos }: Row): Buffer {
  const negative = seconds < 0
  const whole = negative ? -(seconds + 1) : seconds
  const rest = negative ? 1_000_000_000 - nanos : nanos
  const text = ` mtime=${negative ? '-' : ''}${whole}.${String(rest).padStart(9, '0')}\n`
  let length = text.length + 1
  while (String(length).length + text.length !== length) length += 1
  return Buffer.from(`${length}${text}`)
}

function head(fields: {
  type: string
  name: Buffer
  target: Buffer
  mode: number
  seconds: number
  size: number
}): Buffer {
  const header = Buffer.alloc(block)
  fields.name.copy(header, 0, 0, 100)
  writeNumber(header, 100, 8, fields.mode)
  writeNumber(header, 108, 8, 0)
  writeNumber(header, 116, 8, 0)
  writeNumber(header, 124, 12, fields.size)
  writeNumber(header, 136, 12, fields.seconds)
  header.write(fields.type, 156, 'latin1')
  fields.target.copy(header, 157, 0, 100)
  header.write('ustar  \0', 257, 'latin1')
  // The sum counts its own field as spaces.
  header.fill(' ', 148, 156)
  let sum = 0
  for (const byte of header) sum += byte
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

/** A number in octal digits, or, where it has too many or is negative, in GNU tar's base 256. */
function writeNumber(header: Buffer, at: number, length: number, value: number): void {
  if (value >= 0 && value < 8 ** (length - 1)) {
    header.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
    return
  }
  header.fill(value < 0 ? 0xff : 0, at, at + length)
  header.writeBigInt64BE(BigInt(value), at + length - 8)
  if (value >= 0) header[at] = 0x80
}
