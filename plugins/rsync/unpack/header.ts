import { incomplete, refusal } from './refusal.js'

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
    throw incomplete('it is no tar, or a damaged one: the sum of a header is wrong')
  }
  const type = String.fromCharCode(block[156] ?? 0)
  const isDevice = type === '3' || type === '4'
  // Others have anything where a device's number would be.
  if (isDevice && !isPosix(block) && !isGnu(block))
    throw refusal('it holds a device, in a format of tar that has none')
  return {
    type,
    name: nameOf(block),
    target: textAt(block, 157, 100),
    mode: wholeAt(block, 100, 8, 'mode'),
    uid: wholeAt(block, 108, 8, 'owner'),
    gid: wholeAt(block, 116, 8, 'group'),
    size: wholeAt(block, 124, 12, 'size'),
    seconds: numberAt(block, 136, 12, 'time'),
    major: isDevice ? wholeAt(block, 329, 8, 'device') : 0,
    minor: isDevice ? wholeAt(block, 337, 8, 'device') : 0,
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
  if (!isPosix(block)) return name
  const prefix = textAt(block, 345, 155)
  return prefix === '' ? name : `${prefix}/${name}`
}

const isPosix = (block: Buffer): boolean => block.toString('latin1', 257, 263) === 'ustar\0'
const isGnu = (block: Buffer): boolean => block.toString('latin1', 257, 265) === 'ustar  \0'

/** Up to its first NUL, if there is one. */
function textAt(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at)
  return block.toString('latin1', at, end === -1 ? at + length : Math.min(end, at + length))
}

function wholeAt(block: Buffer, at: number, length: number, what: string): number {
  const value = numberAt(block, at, length, what)
  if (value < 0) throw refusal(`the ${what} in a header is ${value}`)
  return value
}

function numberAt(block: Buffer, at: number, length: number, what: string): number {
  const value = (block[at] ?? 0) < 0x80 ? octalAt(block, at, length) : binaryAt(block, at, length)
  if (value === undefined) throw refusal(`the ${what} in a header is not a number`)
  return value
}

/** Octal digits with spaces before and spaces or NULs behind them; or NULs alone, which are 0. */
const octal = /^(?: *([0-7]+)[ \0]*|\0*)$/

function octalAt(block: Buffer, at: number, length: number): number | undefined {
  const found = octal.exec(block.toString('latin1', at, at + length))
  return found === null ? undefined : Number.parseInt(found[1] ?? '0', 8)
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
