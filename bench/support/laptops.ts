import { randomBytes } from 'node:crypto'

const field = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const number = (bits: number): Buffer => {
  const bytes = randomBytes(bits / 8)
  bytes[0] = 0x80 | (bytes[0] ?? 0)
  return Buffer.concat([Buffer.from([0]), bytes])
}

const head = Buffer.concat([
  field(Buffer.from('ssh-dss')),
  field(number(1024)),
  field(number(160)),
  field(number(1024)),
])

/** A key of the shape and size that every Sugar makes (DSA of 1,024 bits), its numbers made up. */
const key = (): string => Buffer.concat([head, field(number(1024))]).toString('base64')

let made = 0

/** The XML-RPC request of a laptop that never registered before. */
export function newLaptop(): string {
  made += 1
  const serial = `SHC${made.toString(16).toUpperCase().padStart(8, '0')}`
  const hex = made.toString(16).padStart(12, '0')
  const params = [serial, `Learner ${made}`, `00000000-0000-4000-8000-${hex}`, key()]
  const values = params.map((text) => `<param><value><string>${text}</string></value></param>`).join('')
  return `<?xml version='1.0'?><methodCall><methodName>register</methodName><params>${values}</params></methodCall>`
}
