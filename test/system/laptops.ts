import { randomBytes } from 'node:crypto'
import {
  parseServer,
  type Registrant,
  type Registration,
  register,
  type Server,
} from '../../sugaroid/index.js'

const field = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const number = (bits: number): Buffer => {
  const bytes = randomBytes(bits / 8)
  bytes[0] = 0x80 | (bytes[0] ?? 0)
  return field(Buffer.concat([Buffer.from([0]), bytes]))
}

/** A key of the shape and size that every Sugar makes (DSA of 1,024 bits), its numbers made up. */
export const madeUpKey = (): string =>
  Buffer.concat([
    field(Buffer.from('ssh-dss')),
    number(1024),
    number(160),
    number(1024),
    number(1024),
  ]).toString('base64')

let made = 0

/** A laptop that never registered before. */
export function newLaptop(nickname?: string): Registrant {
  made += 1
  const hex = made.toString(16)
  return {
    serial: `SHC${hex.toUpperCase().padStart(8, '0')}`,
    nickname: nickname ?? `Learner ${made}`,
    uuid: `00000000-0000-4000-8000-${hex.padStart(12, '0')}`,
    pubkey: madeUpKey(),
  }
}

export const serverAt = (url: string): Server => parseServer(new URL(url).host, 8080)

/** Registers over XML-RPC as a laptop does. @param url of the listener `id` */
export const enrol = (who: Registrant, url: string, timeout = 20_000): Promise<Registration> =>
  register(who, { server: serverAt(url), timeout })
