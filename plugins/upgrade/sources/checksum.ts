import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { RequestError } from '../../../core/api.js'
import type { Algorithm } from './packed.js'

/** What a tree must hash to. */
export interface Sum {
  readonly algorithm: Algorithm
  /** Lower case. */
  readonly hex: string
}

/** Bytes that a file of sums may have. */
export const longestSums = 65_536

const digits = { sha256: 64, md5: 32 } as const

/**
 * Finds the sum of a file in what md5sum or sha256sum wrote. A sum that stands alone is taken whatever file it names:
 * files are renamed on their way.
 * @param name of the file, without directories
 * @returns undefined when there is none
 */
export function sumOf(text: string, name: string, algorithm: Algorithm): Sum | undefined {
  const line = new RegExp(`^([0-9A-Fa-f]{${digits[algorithm]}})(?: [ *](.{1,255}))?$`)
  const found = text
    .split(/\r?\n/)
    .map((one) => line.exec(one.trimEnd()))
    .filter((match) => match !== null)
  const named = found.find(([, , file = '']) => file.slice(file.lastIndexOf('/') + 1) === name)
  const [, hex] = named ?? (found.length === 1 ? (found[0] ?? []) : [])
  return hex === undefined ? undefined : { algorithm, hex: hex.toLowerCase() }
}

/** Nobody could tell whether what came is what was sent. */
export const noSum = (tree: string): RequestError =>
  new RequestError('REFUSED', `${tree} has no checksum beside it (.sha256 or .md5): it is not taken`)

/** Reads a file once. @returns its sha256, by which builds are known, and whether its sum is right */
export async function check(
  path: string,
  { algorithm, hex }: Sum,
  signal: AbortSignal,
): Promise<{ digest: string; right: boolean }> {
  const sha256 = createHash('sha256')
  const other = algorithm === 'sha256' ? undefined : createHash(algorithm)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) {
    sha256.update(chunk)
    other?.update(chunk)
  }
  const digest = sha256.digest('hex')
  return { digest, right: (other?.digest('hex') ?? digest) === hex }
}
