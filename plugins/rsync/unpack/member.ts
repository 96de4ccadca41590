import { blockSize } from './header.js'

/** An entry of the tar that GNU tar is given. Texts hold one character a byte. */
export interface Member {
  readonly type: '0' | '1' | '2' | '5'
  /** `''` is the top itself. */
  readonly path: string
  readonly target: string
  readonly mode: number
  readonly size: number
  readonly seconds: number
  readonly nanos: number
}

const nameSpace = 100

/** The header of an entry, with what must stand before it: long names, and times to the nanosecond. */
export function headerOf(member: Member): Buffer {
  const { type, path, target, nanos } = member
  const name = path === '' ? './' : type === '5' ? `${path}/` : path
  const parts: Buffer[] = []
  if (nanos !== 0) parts.push(...extension('x', Buffer.from(timeRecord(member))))
  if (name.length > nameSpace) parts.push(...extension('L', Buffer.from(`${name}\0`, 'latin1')))
  if (target.length > nameSpace) parts.push(...extension('K', Buffer.from(`${target}\0`, 'latin1')))
  const head = headOf(member, type, name)
  return parts.length === 0 ? head : Buffer.concat([...parts, head])
}

/** What follows a content, so that the next header begins at a block. */
export const paddingOf = (size: number): number => (blockSize - (size % blockSize)) % blockSize

function extension(type: string, content: Buffer): Buffer[] {
  const about = { target: '', mode: 0o600, size: content.length, seconds: 0 }
  return [headOf(about, type, '././@LongLink'), content, Buffer.alloc(paddingOf(content.length))]
}

/** `LENGTH mtime=SECONDS.NANOS\n`, the length that of the whole record. */
function timeRecord({ seconds, nanos }: Member): string {
  const isNegative = seconds < 0
  const whole = isNegative ? -(seconds + 1) : seconds
  const rest = isNegative ? 1_000_000_000 - nanos : nanos
  const text = ` mtime=${isNegative ? '-' : ''}${whole}.${String(rest).padStart(9, '0')}\n`
  let length = text.length + 1
  while (String(length).length + text.length !== length) length += 1
  return `${length}${text}`
}

/** All that is the same in every header. Owners are numbers here, and nobody's: tar is told to leave them alone. */
const blank = Buffer.alloc(blockSize)
blank.write('0000000\0'.repeat(3), 100, 'latin1')
blank.fill(' ', 148, 156)
blank.write('ustar  \0', 257, 'latin1')
const blankSum = blank.reduce((sum, byte) => sum + byte, 0)

function headOf(
  { target, mode, size, seconds }: Pick<Member, 'target' | 'mode' | 'size' | 'seconds'>,
  type: string,
  name: string,
): Buffer {
  const head = Buffer.from(blank)
  head.write(name, 0, nameSpace, 'latin1')
  head.write(mode.toString(8).padStart(7, '0'), 100, 'latin1')
  writeNumber(head, 124, size)
  writeNumber(head, 136, seconds)
  head.write(type, 156, 'latin1')
  head.write(target, 157, nameSpace, 'latin1')
  let sum = blankSum
  for (let at = 0; at < 257; at += 1) sum += (head[at] ?? 0) - (blank[at] ?? 0)
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return head
}

/** A number in eleven octal digits, or, where it has more or is negative, in GNU tar's base 256. */
function writeNumber(head: Buffer, at: number, value: number): void {
  if (value >= 0 && value < 8 ** 11) {
    head.write(value.toString(8).padStart(11, '0'), at, 'latin1')
    return
  }
  head.fill(value < 0 ? 0xff : 0, at, at + 4)
  if (value >= 0) head[at] = 0x80
  head.writeBigInt64BE(BigInt(value), at + 4)
}
