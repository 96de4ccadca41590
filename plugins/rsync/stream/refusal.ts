/** rsync's message codes (rsync.h): an error, under its number of before protocol 30 and after. */
const errorCode = (protocol: number): number => (protocol < 30 ? 1 : 3)
const base = 7
const longest = 400

/**
 * What a client is told in the place of its rsync, which has been ended: a message as rsync's server sends it.
 * @param isBegun whether rsync has spoken: otherwise what precedes every message is said too, the capabilities, of which
 * there are none, and the seed
 */
export function refusalBytes(protocol: number, words: string, isBegun: boolean): Buffer {
  const text = Buffer.from(`rsync: ${words.slice(0, longest)}\n`)
  const head = Buffer.alloc(4)
  head.writeUInt32LE((((base + errorCode(protocol)) << 24) | text.length) >>> 0)
  const start = isBegun ? [] : [Buffer.alloc((protocol >= 30 ? 1 : 0) + 4, 1)]
  if (!isBegun && protocol >= 30) start[0]?.writeUInt8(0)
  return Buffer.concat([...start, head, text])
}
