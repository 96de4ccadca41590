import { open } from 'node:fs/promises'
import type { HeadNote } from './head.js'
import { type Link, longestLine, newestWith, parseLine, start } from './line.js'
import { linesOf } from './lines.js'
import { isTornTail, longestTail } from './torn-tail.js'

/** Where a log ends, as a start finds it. */
export interface Ending {
  /** What the next line goes behind. */
  readonly link: Link
  /** When the newest signature was made, ISO 8601; none so far: empty. */
  readonly newest: string
  /** What a crash left behind the last whole line. */
  readonly torn?: {
    /** Where it begins, in bytes. */
    readonly from: number
    /** `line`: a last line without its line end. `tail`: a batch of which a power cut left some blocks. */
    readonly what: 'line' | 'tail'
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
  let end = note?.size ?? 0
  let torn: Ending['torn']
  for await (const { text, ended, from: at } of linesOf(path, from, size)) {
    const line = text === undefined ? undefined : parseLine(text)
    const wasTold = line !== undefined && note !== undefined && line.n <= note.n
    if (!ended) {
      torn = { from: at, what: 'line', wasTold }
      break
    }
    if (line === undefined) continue
    if (note !== undefined && (line.n !== link.n + 1 || line.prev !== link.hash)) continue
    link = { n: line.n, hash: line.hash }
    newest = newestWith(newest, line)
    end = at + Buffer.byteLength(text ?? '') + 1
  }
  // Lines that were told are on the disk, and go on from one another: so nothing behind the last of these was told.
  if (note !== undefined && isTornTail(await bytesOf(path, end, size), end, link))
    torn = { from: end, what: 'tail', wasTold: false }
  return { link, newest, ...(torn !== undefined && { torn }) }
}

/** A part of a file; nothing where it is longer than any batch that was under way. */
async function bytesOf(path: string, from: number, to: number): Promise<Buffer> {
  if (to <= from || to - from > longestTail) return Buffer.alloc(0)
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.alloc(to - from)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
