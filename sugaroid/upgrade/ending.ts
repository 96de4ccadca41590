import type { Fetched } from './fetching.js'

/** Why an rsync from a server's modules did not end well. */
export type Ending =
  /** The server said no, in these words: for good, or for now. */
  | { readonly outcome: 'refused' | 'busy'; readonly said: string }
  /** What comes cannot be written here. */
  | { readonly outcome: 'unwritable'; readonly code: number; readonly said: string }
  /** The line broke, or the server's rsync had to give up. `code` is rsync's. */
  | { readonly outcome: 'failed'; readonly code: number; readonly said: string }

/** Exit codes of rsync for files of its own: their selection, reading and writing. */
const ownFiles: readonly number[] = [3, 11]

/** rsync's exit code when some files did not come over, on either side's account. */
const partial = 23

/** What this side of rsync says of a file that it cannot write. */
const ownFault = /^rsync: \[(?:receiver|generator|Receiver)\] .* failed.*\(\d+\)$/m
const isFull = /No space left on device|Disk quota exceeded/

/** A server that refuses something for now says so with these words. */
const forNow = /\btry again\b/i

export function endingOf({ code, said }: Fetched): Ending {
  const words = /@ERROR: ([^\r\n]*)/.exec(said)?.[1]
  if (words !== undefined) return { outcome: forNow.test(words) ? 'busy' : 'refused', said: words }
  const isOurs = ownFiles.includes(code) || isFull.test(said) || (code === partial && ownFault.test(said))
  const lines = said.split(/[\r\n]+/).join('; ')
  return { outcome: isOurs ? 'unwritable' : 'failed', code, said: lines }
}
