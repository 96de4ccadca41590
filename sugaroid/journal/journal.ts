import { rm } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { HomeError } from '../errors.js'
import { makeFolders } from '../files.js'
import { schoolTime } from './calendar.js'
import { makeEntry } from './entry.js'
import { namesIn, putEntry, putFrame } from './layout.js'
import { Random } from './random.js'

export interface JournalOptions {
  readonly entries: number
  /** Of data altogether, in millions of bytes; 0.15 for each entry when not given. */
  readonly megabytes?: number | undefined
  /** The same seed makes the same Journal, times included; `1` when not given. */
  readonly seed?: string | undefined
}

/** What was made: `bytes` of data, without the metadata. */
export interface MadeJournal {
  readonly entries: number
  readonly bytes: number
}

/** One entry in eight is metadata alone. */
const withoutData = 1 / 8

/** The spread of real sizes: a few films outweigh hundreds of texts (log-normal). */
const deviation = 1.8

/** Bytes of data for each entry, 0 for one without; they sum up to about `total`. */
export function makeSizes(random: Random, entries: number, total: number): number[] {
  const weights = Array.from({ length: entries }, () =>
    random.happens(withoutData) ? 0 : Math.exp(random.normal() * deviation),
  )
  const scale = total / (weights.reduce((sum, weight) => sum + weight, 0) || 1)
  return weights.map((weight) => (weight === 0 ? 0 : Math.max(1, Math.round(weight * scale))))
}

/**
 * Makes a Journal as a child has it after a school year: layout 6, half of the data as text that packs well, half
 * as pictures and sound that do not. 2,000 entries with 300 MB are made in some seconds.
 * Throws a HomeError when the directory holds anything, and the system's error for files that cannot be written.
 */
export async function makeJournal(datastore: string, options: JournalOptions): Promise<MadeJournal> {
  const { entries, megabytes = entries * 0.15, seed = '1' } = options
  if ((await namesIn(datastore)).length > 0) {
    throw new HomeError(
      `there is a Journal in ${datastore} already`,
      'change it with --change, or begin with --wipe',
    )
  }
  const random = new Random(`journal ${seed}`)
  const sizes = makeSizes(random, entries, megabytes * 1e6)
  const times = sizes.map(() => schoolTime(random)).sort((a, b) => a - b)
  makeFolders(datastore)
  putFrame(datastore, times.at(-1) ?? schoolTime(random))
  for (const [at, size] of sizes.entries()) {
    putEntry(datastore, makeEntry(random, times[at] ?? 0, size))
    await setImmediate() // others in this process have their turn
  }
  return { entries, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

/** Loses all of a Journal, as a laptop that is reflashed; the directory stays, empty. */
export async function wipeJournal(datastore: string): Promise<void> {
  await rm(datastore, { recursive: true, force: true })
  makeFolders(datastore)
}
