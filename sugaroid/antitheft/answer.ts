import type { Readable } from 'node:stream'
import { BrokenReply } from '../errors.js'

/** Bytes of an answer that are read at most; the longest lease has an eighth of it. */
export const longestAnswer = 65_536

/**
 * All of an answer, to its end. Throws a BrokenReply for one that is longer than `longestAnswer`, which closes the
 * connection, and the stream's own error.
 */
export async function readAnswer(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > longestAnswer) throw new BrokenReply(`the answer is longer than ${longestAnswer} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
