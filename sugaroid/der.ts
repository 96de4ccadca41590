// As much of DER (ITU-T X.690) as a DSA key needs: node:crypto exports DSA keys as PKCS#8 and SPKI only.

export const INTEGER = 0x02
export const BIT_STRING = 0x03
export const OCTET_STRING = 0x04
export const SEQUENCE = 0x30

export interface Der {
  readonly tag: number
  readonly content: Buffer
}

/** The elements that follow one another in `bytes`. Takes well-formed DER, such as node:crypto writes. */
export function readDer(bytes: Buffer): Der[] {
  const elements: Der[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes.readUInt8(at)
    const short = bytes.readUInt8(at + 1)
    const extra = short & 0x80 ? short & 0x7f : 0
    const length = extra ? bytes.readUIntBE(at + 2, extra) : short
    const start = at + 2 + extra
    at = start + length
    elements.push({ tag, content: bytes.subarray(start, at) })
  }
  return elements
}

/** One element: its tag, its length in the shortest form, its content. */
export function writeDer(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content)
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body])
  const width = Math.ceil(body.length.toString(16).length / 2)
  const length = Buffer.alloc(width)
  length.writeUIntBE(body.length, 0, width)
  return Buffer.concat([Buffer.of(tag, 0x80 | width), length, body])
}
