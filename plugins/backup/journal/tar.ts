/**
 * Headers of tar members as GNU tar and Python's tarfile write them. tar-stream is not used for it: its names are
 * texts, and those of a Journal are bytes; its times end in 2038, and laptops have clocks beyond that.
 */

export interface Member {
  readonly type: 'file' | 'directory'
  /** Path without a slash at either end. */
  readonly name: Buffer
  /** Permission bits. */
  readonly mode: number
  /** Bytes that follow the header. */
  readonly size: number
  /** Seconds since 1970. */
  readonly seconds: number
}

const block = 512
/** Two empty blocks end an archive. */
export const end = Buffer.alloc(2 * block)

/** What fills the last block of a content. */
export const padding = (size: number): Buffer => Buffer.alloc((block - (size % block)) % block)

export function headerOf({ type, name, mode, size, seconds }: Member): Buffer {
  const whole = type === 'directory' ? Buffer.concat([name, Buffer.from('/')]) : name
  const own = header(whole, type === 'directory' ? '5' : '0', mode, size, seconds)
  if (whole.length <= 100) return own
  // A member "L" before it has the name, ended by NUL, as its content.
  const content = Buffer.concat([whole, Buffer.alloc(1)])
  const long = header(Buffer.from('././@LongLink'), 'L', 0o644, content.length, 0)
  return Buffer.concat([long, content, padding(content.length), own])
}

function header(name: Buffer, type: string, mode: number, size: number, seconds: number): Buffer {
  const bytes = Buffer.alloc(block)
  name.copy(bytes, 0, 0, 100)
  writeNumber(bytes, 100, 8, mode)
  writeNumber(bytes, 108, 8, 0)
  writeNumber(bytes, 116, 8, 0)
  writeNumber(bytes, 124, 12, size)
  writeNumber(bytes, 136, 12, seconds)
  bytes.write(type, 156, 'latin1')
  bytes.write('ustar  \0', 257, 'latin1')
  // The sum counts its own field as spaces.
  bytes.fill(' ', 148, 156)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}

/** Octal digits, or two's complement behind a mark where they do not suffice. */
function writeNumber(bytes: Buffer, start: number, width: number, value: number): void {
  if (value >= 0 && value < 8 ** (width - 1)) {
    bytes.write(value.toString(8).padStart(width - 1, '0'), start, 'latin1')
    return
  }
  bytes.fill(value < 0 ? 0xff : 0, start, start + width)
  bytes.writeBigInt64BE(BigInt(value), start + width - 8)
  if (value >= 0) bytes[start] = 0x80
}
