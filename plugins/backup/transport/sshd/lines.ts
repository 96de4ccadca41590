import type { Readable } from 'node:stream'

/** One value a line, as JSON. */
export const lineOf = (value: unknown): string => `${JSON.stringify(value)}\n`

export type Fields = Readonly<Record<string, unknown>>

/** Bytes of a line at most. */
const longest = 64 << 10

/**
 * Reads lines of JSON, each an object, from a stream. No more than one line beyond the longest is ever held.
 * @param heard is called for each
 * @param garbled is called once, for what is none; nothing is read any more
 */
export function readLines(stream: Readable, heard: (fields: Fields) => void, garbled: () => void): void {
  let rest = ''
  const take = (piece: string) => {
    rest += piece
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const fields = parse(rest.slice(0, end))
      rest = rest.slice(end + 1)
      if (fields === undefined) return stop()
      heard(fields)
    }
    if (rest.length > longest) stop()
  }
  const stop = () => {
    stream.off('data', take)
    garbled()
  }
  stream.setEncoding('utf8').on('data', take)
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
