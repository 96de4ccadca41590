import type { Row } from '../tree.js'

const block = 512
const types = { file: '0', link: '2', directory: '5', longName: 'L', longLink: 'K', extended: 'x' } as const

/**
 * The header of a row in a tar stream, as GNU tar reads it: paths of any bytes and any length, times to the
 * nanosecond. The content follows, then padding().
 * @param path relative, its bytes one a character
 */
export function tarHeader(row: Row, path: string): Buffer {
  const parts: Buffer[] = []
  const name = row.type === 'directory' ? `${path}/` : path
  if (row.nanos !== 0) parts.push(member(types.extended, 'mtime', timeRecord(row)))
  if (name.length > 100) parts.push(member(types.longName, '././@LongLink', bytesOf(`${name}\0`)))
  const target = row.type === 'link' ? row.target : ''
  if (target.length > 100) parts.push(member(types.longLink, '././@LongLink', bytesOf(`${target}\0`)))
  parts.push(
    head({
      type: types[row.type],
      name,
      target,
      mode: row.mode,
      seconds: row.seconds,
      size: row.type === 'file' ? row.size : 0,
    }),
  )
  return Buffer.concat(parts)
}

/** What follows a content, so that the next header begins at a block. */
export const padding = (size: number): Buffer => Buffer.alloc((block - (size % block)) % block)

/** What a tar stream ends with. */
export const tarEnd = (): Buffer => Buffer.alloc(2 * block)

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A header whose content is not a file's but belongs to the next header. */
function member(type: string, name: string, content: Buffer): Buffer {
  const header = head({ type, name, target: '', mode: 0o644, seconds: 0, size: content.length })
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
  name: string
  target: string
  mode: number
  seconds: number
  size: number
}): Buffer {
  const header = Buffer.alloc(block)
  bytesOf(fields.name).copy(header, 0, 0, 100)
  writeOctal(header, 100, 8, fields.mode)
  writeOctal(header, 108, 8, 0)
  writeOctal(header, 116, 8, 0)
  writeOctal(header, 124, 12, fields.size)
  writeOctal(header, 136, 12, fields.seconds)
  header.write('        ', 148, 'latin1')
  header.write(fields.type, 156, 'latin1')
  bytesOf(fields.target).copy(header, 157, 0, 100)
  header.write('ustar  \0', 257, 'latin1')
  let sum = 0
  for (const byte of header) sum += byte
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

/** A number in octal digits, or, where it has too many or is negative, in GNU tar's base 256. */
function writeOctal(header: Buffer, at: number, length: number, value: number): void {
  const digits = value >= 0 ? value.toString(8) : ''
  if (value >= 0 && digits.length < length) {
    header.write(`${digits.padStart(length - 1, '0')}\0`, at, 'latin1')
    return
  }
  const negative = value < 0
  header.fill(negative ? 0xff : 0, at, at + length)
  header.writeBigInt64BE(BigInt(value), at + length - 8)
  if (!negative) header[at] = 0x80
}
