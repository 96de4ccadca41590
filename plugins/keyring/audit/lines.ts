import { createReadStream } from 'node:fs'
import { longestLine } from './line.js'

/** A line of a file. */
export interface RawLine {
  /** Without its line end; undefined when it is longer than any line may be. */
  readonly text: string | undefined
  /** Whether it has its line end. */
  readonly ended: boolean
  /** Where it begins, in bytes. */
  readonly from: number
}

/** The lines of a part of a file, each of bounded size whatever lies there. The first begins at `from`. */
export async function* linesOf(path: string, from: number, to: number): AsyncGenerator<RawLine> {
  if (to <= from) return
  let rest: Buffer = Buffer.alloc(0)
  /** Bytes of a line that is too long, and dropped. */
  let dropped = 0
  let at = from
  for await (const chunk of createReadStream(path, { start: from, end: to - 1 }) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let begin = 0
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, begin)) {
      const length = dropped + end - begin
      const text = length > longestLine ? undefined : bytes.toString('utf8', begin, end)
      yield { text, ended: true, from: at }
      at += length + 1
      begin = end + 1
      dropped = 0
    }
    rest = bytes.subarray(begin)
    if (rest.length > longestLine) {
      dropped += rest.length
      rest = rest.subarray(rest.length)
    }
  }
  const length = dropped + rest.length
  if (length > 0) {
    const text = dropped > 0 ? undefined : rest.toString('utf8')
    yield { text, ended: false, from: at }
  }
}
