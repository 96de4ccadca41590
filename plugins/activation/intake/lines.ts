import { RequestError } from '../../../core/api.js'
import { longestLine } from '../../keyring/public.js'

/** A line of a file, without its line end. */
export interface Line {
  /** Counted from 1. */
  readonly number: number
  /** Undefined when it is longer than laptops read. */
  readonly text: string | undefined
}

/** Lines of a file: several for each laptop that it could name. */
export const mostLines = 500_000

export const tooLong = `is longer than ${longestLine} bytes`

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])
const lf = 0x0a
const cr = 0x0d

/** A file without the mark that some editors put in front. */
const withoutMark = (bytes: Buffer): Buffer =>
  bytes.subarray(0, byteOrderMark.length).equals(byteOrderMark) ? bytes.subarray(byteOrderMark.length) : bytes

/** Bytes, or lines, that may say nothing at the beginning of a file. */
const longestOpening = 1000

/** A file without blanks and blank lines in front, of which there may be a thousand bytes. */
export function withoutBlanks(file: Buffer): Buffer {
  const bytes = withoutMark(file)
  const [blanks = ''] = /^[ \t\r\n]*/.exec(bytes.subarray(0, longestOpening).toString('latin1')) ?? []
  return bytes.subarray(blanks.length)
}

/** The first line of a file that is neither blank nor a comment, if it is among the first thousand. */
export function firstSaid(file: Buffer): string | undefined {
  for (const { number, text } of lines(file)) {
    if (number > longestOpening) return undefined
    if (text === undefined || !text.trimStart().startsWith('#')) return text
  }
  return undefined
}

/**
 * The lines of a file that are not blank; they end with LF, CRLF or CR. Each is a text of its own, no part of the file.
 * @throws RequestError REQUEST_TOO_LARGE
 */
export function* lines(file: Buffer): Generator<Line> {
  const bytes = withoutMark(file)
  let number = 0
  // Looked for once, and not again for each line: most files have none.
  let nextCr = place(bytes, cr, 0)
  for (let start = 0; start < bytes.length; ) {
    const end = place(bytes, lf, start, nextCr)
    number += 1
    if (number > mostLines)
      throw new RequestError('REQUEST_TOO_LARGE', `the file has more than ${mostLines} lines`)
    if (end - start > longestLine) yield { number, text: undefined }
    else {
      const text = decoded(bytes.subarray(start, end))
      if (text.trim() !== '') yield { number, text }
    }
    start = end + (bytes[end] === cr && bytes[end + 1] === lf ? 2 : 1)
    if (nextCr < start) nextCr = place(bytes, cr, start)
  }
}

/** Where a byte is found; `before`, if nowhere. */
function place(bytes: Buffer, byte: number, from: number, before = bytes.length): number {
  const found = bytes.subarray(from, before).indexOf(byte)
  return found === -1 ? before : from + found
}

/** Old spreadsheets write Latin-1. */
function decoded(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return text.includes('\ufffd') ? bytes.toString('latin1') : text
}
