import { refusal } from './refusal.js'

export const blockSize = 512

/** The fields of a tar header that count here. Texts hold one character a byte. */
export interface Header {
  /** Its letter: `0` a file, `5` a directory, ... */
  readonly type: string
  readonly name: string
  readonly target: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Since 1970; may be negative. */
  readonly seconds: number
  readonly major: number
  readonly minor: number
}

/**
 * Reads a tar header: POSIX's, GNU's, or one of before either.
 * @param block 512 bytes
 * @returns undefined for an empty one, which ends a tar
 * @throws RequestError for anything else
 */
export function parseHeader(block: Buffer): Header | undefined {
  if (!isSummed(block)) {
    if (block.every((byte) => byte === 0)) return undefined
    throw refusal('it is no tar, or a damaged one: the sum of a header is wrong')
  }
  const type = String.fromCharCode(block[156] ?? 0)
  const isDevice = type === '3' || type === '4'
  return {
    type,
    name: nameOf(block),
    target: textAt(block, 157, 100),
    mode: numberAt(block, 100, 8, 'mode'),
    uid: numberAt(block, 108, 8, 'owner'),
    gid: numberAt(block, 116, 8, 'group'),
    size: numberAt(block, 124, 12, 'size'),
    seconds: numberAt(block, 136, 12, 'time'),
    // Other headers have anything there.
    major: isDevice ? numberAt(block, 329, 8, 'device') : 0,
    minor: isDevice ? numberAt(block, 337, 8, 'device') : 0,
  }
}

/** Whether the sum of a header's bytes is in it; bytes were signed on some machines of old. */
export function isSummed(block: Buffer): boolean {
  let unsigned = 0
  let signed = 0
  for (let at = 0; at < blockSize; at += 1) {
    // The sum's own field counts as spaces.
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0)
    unsigned += byte
    if (byte > 0x7f) signed -= 0x100
  }
  const told = octalAt(block, 148, 8)
  return told !== undefined && told > 0 && (told === unsigned || told === unsigned + signed)
}

/** POSIX's headers may have the beginning of a long name in a field of its own; GNU's have other things there. */
function nameOf(block: Buffer): string {
  const name = textAt(block, 0, 100)
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name
  const prefix = textAt(block, 345, 155)
  return prefix === '' ? name : `${prefix}/${name}`
}

/** Up to its first NUL, if there is one. */
function textAt(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at)
  return block.toString('latin1', at, end === -1 ? at + length : Math.min(end, at + length))
}

function numberAt(block: Buffer, at: number, length: number, what: string): number {
  const value = (block[at] ?? 0) < 0x80 ? octalAt(block, at, length) : binaryAt(block, at, length)
  if (value === undefined) throw refusal(`the ${what} in a header is not a number`)
  return value
}

/** Octal digits with spaces before and spaces or NULs behind them; none at all are 0. */
function octalAt(block: Buffer, at: number, length: number): number | undefined {
  const end = at + length
  let value = 0
  let next = at
  while (next < end && block[next] === 0x20) next += 1
  for (; next < end; next += 1) {
    const digit = (block[next] ?? 0) - 0x30
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  for (; next < end; next += 1) if (block[next] !== 0 && block[next] !== 0x20) return undefined
  return value
}

/** GNU's numbers of base 256: the first bit says so, the second is the sign. */
function binaryAt(block: Buffer, at: number, length: number): number | undefined {
  const first = block[at] ?? 0
  const isNegative = first === 0xff
  let value = isNegative ? -1 : first & 0x7f
  for (let next = at + 1; next < at + length; next += 1) {
    value = value * 256 + (block[next] ?? 0)
    if (!Number.isSafeInteger(value)) return undefined
  }
  return value
}
