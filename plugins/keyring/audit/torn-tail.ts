import { type Link, parseLine } from './line.js'

/** Bytes that a batch of lines may have: some 50,000 lines. */
export const longestTail = 16 << 20

/** What file systems write at a time is a multiple of this many bytes. */
const block = 512

/**
 * Whether the end of a log is what a power cut left of a batch that was being written: some of its blocks, and zeros
 * in the place of the others, since the length of a file may reach the disk before its content. Lines hold no zero
 * byte. An end without such blocks, or with lines that do not belong there, is not torn but was written by others.
 * @param tail the bytes behind the last line of the chain
 * @param from where they begin in the file
 * @param last where the chain ends
 */
export function isTornTail(tail: Buffer, from: number, last: Link): boolean {
  const end = from + tail.length
  let hasZeros = false
  for (let at = 0; at < tail.length; ) {
    const zero = tail.indexOf(0, at)
    const stretch = tail.subarray(at, zero < 0 ? tail.length : zero)
    if (!isOfBatch(stretch, at === 0, last)) return false
    if (zero < 0) break
    at = zero
    while (at < tail.length && tail[at] === 0) at += 1
    const isBlock =
      (zero === 0 || (from + zero) % block === 0) && (from + at === end || (from + at) % block === 0)
    if (!isBlock) return false
    hasZeros = true
  }
  return hasZeros
}

/** Whether bytes between two lost blocks are lines of a later number, the first and the last of them cut. */
function isOfBatch(stretch: Buffer, isFirst: boolean, { n }: Link): boolean {
  const lines = stretch.toString('utf8').split('\n').slice(0, -1)
  // A whole line at the very front would be one of the chain.
  if (isFirst) return lines.length === 0
  return lines.slice(1).every((text) => (parseLine(text)?.n ?? 0) > n)
}
