/** The beginning of an rsync client's stream, as bytes. */

export const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

/** A filter list, with its end. */
export const filterList = (rules: readonly Buffer[]): Buffer =>
  Buffer.concat([...rules.flatMap((rule) => [int(rule.length), rule]), int(0)])

/** Data in frames of these lengths, the last of which is used again and again. */
export function framed(data: Buffer, lengths: readonly number[]): Buffer {
  const frames: Buffer[] = []
  for (let at = 0, nth = 0; at < data.length; nth += 1) {
    const length = lengths[Math.min(nth, lengths.length - 1)] ?? data.length
    const piece = data.subarray(at, at + length)
    frames.push(int((7 << 24) | piece.length), piece)
    at += piece.length
  }
  return Buffer.concat(frames)
}

/** A list of algorithms. */
export function choice(names: string): Buffer {
  const { length } = names
  const head = length < 0x80 ? [length] : [0x80 | (length >> 8), length & 0xff]
  return Buffer.concat([Buffer.from(head), Buffer.from(names)])
}

/** Cuts bytes at some places. */
export function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, nth) => bytes.subarray(at[nth], end))
}
