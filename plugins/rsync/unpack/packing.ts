import { isSummed } from './header.js'
import type { ProgramName } from './program.js'
import { incomplete } from './refusal.js'

/** Bytes of a file by which its packing is known. */
export const enoughToTell = 512

/** What unpacks a file, from its standard input to its standard output. */
export interface Unpacker {
  readonly program: ProgramName
  readonly args: readonly string[]
}

// A file says itself how much memory it takes to unpack: `xz -9` 65 MiB, and some that nobody made in earnest 4 GiB.
const xz = ['-dc', '--memlimit-decompress=192MiB']

const unpackers: readonly (Unpacker & { is(head: Buffer): boolean })[] = [
  { program: 'xz', args: [...xz, '--format=xz'], is: (head) => begins(head, 'fd377a585a00') },
  { program: 'bzip2', args: ['-dc'], is: (head) => /^BZh[1-9]$/.test(head.toString('latin1', 0, 4)) },
  { program: 'gzip', args: ['-dc'], is: (head) => begins(head, '1f8b08') },
  { program: 'xz', args: [...xz, '--format=lzma'], is: isLzma },
]

/**
 * Tells how a tar is packed by what it is; what it is called says nothing for sure.
 * @param head the first bytes of the file
 * @returns undefined for a tar that is not packed
 * @throws RequestError for anything else
 */
export function unpackerOf(head: Buffer): Unpacker | undefined {
  if (head.length >= enoughToTell && isSummed(head)) return undefined
  const found = unpackers.find(({ is }) => is(head))
  if (found === undefined) throw incomplete('it is no tar, packed with xz, lzma, bzip2 or gzip or not at all')
  return found
}

const begins = (head: Buffer, hex: string): boolean => head.toString('hex', 0, hex.length / 2) === hex

/** A format without a mark: its parameters, the size of its window, and the unpacked size, which may be unknown. */
function isLzma(head: Buffer): boolean {
  if (head.length < 13 || (head[0] ?? 0) >= 9 * 5 * 5) return false
  const window = head.readUInt32LE(1)
  const size = head.readBigUInt64LE(5)
  // 2^n or 2^n + 2^(n-1), as all programs write it.
  const isRound =
    (window & (window - 1)) === 0 || (window % 3 === 0 && ((window / 3) & (window / 3 - 1)) === 0)
  return window >= 4096 && isRound && (size === 2n ** 64n - 1n || size < 2n ** 40n)
}
