import type { HeadNote } from './head.js'
import { type Link, longestLine, newestWith, parseLine, start } from './line.js'
import { linesOf } from './lines.js'

/** Where a log ends, as a start finds it. */
export interface Ending {
  /** What the next line goes behind. */
  readonly link: Link
  /** When the newest signature was made, ISO 8601; none so far: empty. */
  readonly newest: string
  /** A last line without its line end. */
  readonly torn?: {
    /** Where it begins, in bytes. */
    readonly from: number
    /** Whether it had been told that it is kept: then only its line end is missing. */
    readonly wasTold: boolean
  }
}

/**
 * Finds the end of the chain: of the lines behind the note, as far as they go on from it. Where the log does not reach
 * the note, or does not agree with it, the chain goes on from the note: so what is missing stays missing for all time,
 * and is found by each check. Without a note it goes on from the last line.
 */
export async function findEnding(path: string, size: number, note: HeadNote | undefined): Promise<Ending> {
  const from = note === undefined ? 0 : Math.max(0, Math.min(note.size, size) - longestLine)
  let link: Link = note === undefined ? start : { n: note.n, hash: note.hash }
  let newest = note?.newest ?? ''
  for await (const { text, ended, from: at } of linesOf(path, from, size)) {
    const line = text === undefined ? undefined : parseLine(text)
    const wasTold = line !== undefined && note !== undefined && line.n <= note.n
    if (!ended) return { link, newest, torn: { from: at, wasTold } }
    if (line === undefined) continue
    if (note !== undefined && (line.n !== link.n + 1 || line.prev !== link.hash)) continue
    link = { n: line.n, hash: line.hash }
    newest = newestWith(newest, line)
  }
  return { link, newest }
}
