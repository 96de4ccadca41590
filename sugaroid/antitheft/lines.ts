import type { LockedLaptop } from './locked-laptop.js'
import { invalid, noMatch, type Rejected } from './verdict.js'

/** Bytes of a line that a laptop has room for; one more is for its LF, and so a chain ends at 7 links. */
export const longestLine = 8191

/** A file of signed lines, or a text that is one. */
export type SignedFile = Buffer | string

function* linesOf(file: SignedFile): Generator<string> {
  // One byte, one character: lengths are those of the file, and no byte is lost.
  const text = Buffer.from(file).toString('latin1')
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start)
    const stop = end === -1 ? text.length : end
    yield text.slice(start, stop)
    start = stop + 1
  }
}

/**
 * Reads a file as a laptop does, line by line: `check` judges what stands behind `TAG SN ` in the lines of this
 * laptop. Where its verdict is `no-match` reading goes on, any other ends it, and so does a line of another kind.
 * Facts: docs/reference/protocols.md: Anti-theft, Lease files and bundles.
 */
export function checkLines<T extends { readonly verdict: 'valid' }>(
  file: SignedFile,
  tag: string,
  { serial }: Pick<LockedLaptop, 'serial'>,
  check: (rest: string) => T | Rejected,
): T | Rejected {
  let skipped: string | undefined
  let number = 0
  for (const line of linesOf(file)) {
    number += 1
    if (line.length > longestLine) {
      return invalid(`line ${number} is longer than the ${longestLine} bytes that a laptop reads`)
    }
    const [first, named, ...rest] = line.replace(/\r$/, '').split(' ')
    if (first !== tag) return invalid(`line ${number} does not begin with '${tag} ', which ends the file`)
    if (named !== serial) continue
    const verdict = check(rest.join(' '))
    if (verdict.verdict === 'valid') return verdict
    const reason = `line ${number}: ${verdict.reason}`
    if (verdict.verdict === 'invalid') return invalid(reason)
    skipped ??= reason
  }
  return noMatch(skipped ?? (number === 0 ? 'there is no line in it' : `no line in it is for ${serial}`))
}
