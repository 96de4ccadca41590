import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createFile, isDirectory, readIfThere, replaceFile } from './files.js'

/** What names the machine in a registration. Not unique in practice; the key is the identity. */
export interface Identifiers {
  readonly serial: string
  readonly uuid: string
}

export interface MachineOptions {
  /** Be an XO: have manufacturing data. Implied by `serial` and `uuid`, which are written into it. */
  readonly xo?: boolean | undefined
  readonly serial?: string | undefined
  readonly uuid?: string | undefined
}

/** A serial for a demonstration: no laptop has one of this form, and a server lets its learner leave again. */
export const demoSerial = (): string => `DEMO${randomBytes(4).toString('hex').toUpperCase()}`

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** As Sugar makes up a serial: three random capitals and the last 8 digits of the time in seconds. */
function madeUpSerial(): string {
  const prefix = Array.from({ length: 3 }, () => letters[randomInt(letters.length)]).join('')
  return prefix + String(Math.floor(Date.now() / 1000)).slice(-8)
}

/** A UUID of version 1 (RFC 4122) with a random node in place of the network card's address. */
function madeUpUuid(): string {
  const ticks = (BigInt(Date.now()) * 10_000n + 0x01b21dd213814000n).toString(16).padStart(15, '0')
  const tail = randomBytes(8)
  tail.writeUInt8((tail.readUInt8(0) & 0x3f) | 0x80, 0) // the variant
  tail.writeUInt8(tail.readUInt8(2) | 0x01, 2) // a multicast node: no real card has it
  const hex = tail.toString('hex')
  return `${ticks.slice(7)}-${ticks.slice(3, 7)}-1${ticks.slice(0, 3)}-${hex.slice(0, 4)}-${hex.slice(4)}`
}

async function readTag(path: string, fallback: string): Promise<string> {
  const tag = (await readIfThere(path))?.replace(/[\0\n]+$/, '') // device trees end their strings with NUL
  return tag || fallback
}

/**
 * The identifiers for one registration. An XO has them in `<home>/mfg-data` (SN and U#, as in its device
 * tree), made once and the same ever after; a tag that is missing or empty becomes the constant that Sugar
 * sends for it. Any other machine makes up new ones at every call.
 */
export async function identifiers(home: string, options: MachineOptions = {}): Promise<Identifiers> {
  const data = join(home, 'mfg-data')
  const serial = join(data, 'SN')
  const uuid = join(data, 'U#')
  if (options.serial !== undefined) await replaceFile(serial, options.serial)
  if (options.uuid !== undefined) await replaceFile(uuid, options.uuid)
  if (options.xo || options.serial !== undefined || options.uuid !== undefined) {
    await createFile(serial, `SHC${randomBytes(4).toString('hex').toUpperCase()}`)
    await createFile(uuid, randomUUID().toUpperCase())
  }
  if (!(await isDirectory(data))) return { serial: madeUpSerial(), uuid: madeUpUuid() }
  return {
    serial: await readTag(serial, 'SHF00000000'),
    uuid: await readTag(uuid, '00000000-0000-0000-0000-000000000000'),
  }
}
