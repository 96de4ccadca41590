import { randomBytes } from 'node:crypto'

/** A length-prefixed field of an SSH key. */
export function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** A key made of these fields, as base64. */
export const blobOf = (...fields: (string | Buffer)[]): string =>
  Buffer.concat(fields.map(field)).toString('base64')

/** A positive number of so many bits, as SSH writes it. */
function number(bits: number): Buffer {
  const bytes = randomBytes(bits / 8)
  bytes[0] = 0x80 | (bytes[0] ?? 0)
  return Buffer.concat([Buffer.from([0]), bytes])
}

/** A key of the shape and size that every Sugar makes (DSA of 1,024 bits), its numbers made up. */
export const madeUpKey = (): string =>
  blobOf('ssh-dss', number(1024), number(160), number(1024), number(1024))
