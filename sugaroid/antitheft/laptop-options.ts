import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { HomeError, UsageError } from '../errors.js'
import { isDirectory } from '../files.js'
import { type Identifiers, identifiers } from '../machine.js'
import { common, type Given, homeDirectory, numberOption, type Options } from '../options.js'
import { isDate, type Moment, momentOf } from './moment.js'
import { type AntitheftKey, readAntitheftKey } from './public-key.js'

/** Options of the commands that ask as a laptop with security on. */
export const laptopOptions = {
  ...common,
  serial: { value: 'SN', help: "the laptop's serial (default: of the XO in --home)" },
  at: { value: 'TIME', help: "what the laptop's clock says, YYYYMMDDThhmmssZ (default: now)" },
  timeout: { value: 'SECONDS', help: 'how long to wait for the server (default: 8)' },
} as const satisfies Options

type LaptopGiven = Given<typeof laptopOptions>

async function xoIn(home: string): Promise<Identifiers | undefined> {
  return (await isDirectory(join(home, 'mfg-data'))) ? identifiers(home) : undefined
}

/** Throws a HomeError where neither the command line nor the home says which laptop it is. */
export async function serialOf(given: LaptopGiven): Promise<string> {
  const home = homeDirectory(given.home)
  const serial = given.serial ?? (await xoIn(home))?.serial
  if (serial === undefined) {
    throw new HomeError(
      `${home} is no XO, so it has no serial that stays`,
      'write --serial SN, or make it an XO: "sugaroid register --xo"',
    )
  }
  if (/^[A-Z]{3}[0-9A-F]{8}$/.test(serial)) return serial
  throw new UsageError(`'${serial}' is no serial`, 'write 3 capital letters and 8 hex digits: SHC94700123')
}

/**
 * The uuid that is signed for the laptop `serial`. Throws a UsageError where neither the command line nor the home
 * has it.
 */
export async function uuidOf(
  serial: string,
  given: { readonly home?: string; readonly uuid?: string },
): Promise<string> {
  const xo = given.uuid === undefined ? await xoIn(homeDirectory(given.home)) : undefined
  const uuid = xo?.serial === serial ? xo.uuid : given.uuid
  if (uuid === undefined) {
    throw new UsageError(
      `nothing can be checked without the uuid of ${serial}`,
      'write --uuid UUID, or leave out the key of leases',
    )
  }
  if (/^[0-9A-Za-z-]{36}$/.test(uuid)) return uuid
  throw new UsageError(
    'the uuid of the laptop has not the form of one',
    'write its 36 characters to the letter',
  )
}

/** What the laptop's clock says. */
export function clockOf({ at }: LaptopGiven): Moment {
  if (at === undefined) return momentOf(new Date())
  if (isDate(at)) return at
  throw new UsageError(`--at '${at}' is no time`, 'write YYYYMMDDThhmmssZ, such as 20270101T000000Z')
}

/** Milliseconds to wait, where it was said. */
export function patienceOf({ timeout }: LaptopGiven): number | undefined {
  return timeout === undefined
    ? undefined
    : numberOption('timeout', timeout, { least: 0.1, most: 3600, whole: false }) * 1000
}

/** The beginning of a file, longer than a public key can be. */
async function beginning(file: string): Promise<Buffer> {
  const opened = await open(file)
  try {
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(600), 0, 600, 0)
    return Buffer.from(buffer.subarray(0, bytesRead))
  } finally {
    await opened.close()
  }
}

async function readKeyFile(file: string): Promise<AntitheftKey> {
  const bytes = await beginning(file).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new UsageError(`the key ${file} cannot be read: ${why}`, 'check the name of the file')
  })
  const key = readAntitheftKey(bytes)
  if (key) return key
  throw new UsageError(
    `${file} is no public key of anti-theft`,
    'write the name of a NAME.public of 270 bytes, or of its text form key01',
  )
}

/** Reads the public keys that an option names, FILE[,FILE...]; none when it is not given. */
export function keysOf(option: string | undefined): Promise<AntitheftKey[]> {
  return Promise.all(option === undefined ? [] : option.split(',').map(readKeyFile))
}
