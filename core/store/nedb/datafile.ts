import { isUtf8 } from 'node:buffer'
import { createReadStream, createWriteStream } from 'node:fs'
import { copyFile, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { systemCode } from '../../errors.js'
import { isFull } from '../../lib/disk-fault.js'
import { type Kept, sumOf } from './kept.js'

/** A data file: NeDB's, a line of JSON for each version of a row, the last one counting. */
export interface Datafile {
  rows: Kept[]
  /** What was done to it, as a sentence; undefined when it was sound or absent. */
  repaired?: string
  /** Whether its last line lacks its end. */
  unended: boolean
}

interface Damage {
  /** Lines that are no records. */
  bad: number
  /** Where the good beginning ends, in bytes. */
  goodEnd: number
  /** Whether good lines follow a bad one: more than a torn tail. */
  within: boolean
  /** Whether all that is bad is a last line without its end: of that nobody was ever told that it is kept. */
  torn: boolean
}

const readAtOnce = 1 << 20

/**
 * Reads a data file, and repairs it first where that is needed.
 *
 * A power cut leaves a torn tail, which nobody was ever told was kept: it is cut off. Damage within the file is
 * taken out. What is cut off, or the file as it was before lines were taken out of it, stays beside it; only a torn
 * tail is cut off even where there is no room for that. NeDB's own loading would drop damaged lines
 * without a word, or refuse a small file for the last line alone, and writes the file anew each time.
 * @param bytes reads only so many, and repairs nothing
 */
export async function readDatafile(path: string, bytes?: number): Promise<Datafile> {
  if (bytes === 0) return { rows: [], unended: false }
  if (bytes === undefined) await adopt(path)
  const rows = new Map<string, Kept>()
  const damage: Damage = { bad: 0, goodEnd: 0, within: false, torn: false }
  let unended = false
  for await (const line of lines(path, bytes)) {
    const record = line.bytes.length === 0 ? {} : recordOf(line.bytes)
    if (record === undefined) {
      damage.bad += 1
      damage.torn = damage.bad === 1 && !line.ended
      continue
    }
    if (damage.bad === 0) damage.goodEnd = line.end
    else if (line.bytes.length > 0) damage.within = true
    if (record.$$deleted === true) rows.delete(record._id ?? '')
    else if (record._id !== undefined) rows.set(record._id, record as Kept)
    unended = !line.ended
  }
  const found = { rows: [...rows.values()], unended: unended && damage.bad === 0 }
  return damage.bad === 0 || bytes !== undefined ? found : { ...found, repaired: await repair(path, damage) }
}

/**
 * Clears up after a copy or repair that broke off. Copies are renamed over the file when they are whole: where only
 * the copy is left it is taken up, and looked at like any file.
 */
async function adopt(path: string): Promise<void> {
  if (!(await exists(path)) && (await exists(`${path}~`))) await rename(`${path}~`, path)
  for (const leftover of [`${path}~`, temporaryOf(path)]) await rm(leftover, { force: true })
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

const temporaryOf = (path: string): string => `${path}.repairing`

interface Line {
  bytes: Buffer
  /** Offset behind the line, its line end included. */
  end: number
  ended: boolean
}

async function* lines(path: string, most = Number.POSITIVE_INFINITY): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0)
  let end = 0
  const stream = createReadStream(path, { end: most - 1, highWaterMark: readAtOnce })
  try {
    for await (const chunk of stream) {
      let bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10)) {
        end += at + 1
        yield { bytes: bytes.subarray(0, at), end, ended: true }
        bytes = bytes.subarray(at + 1)
      }
      rest = bytes
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
  if (rest.length > 0) yield { bytes: rest, end: end + rest.length, ended: false }
}

type LineRecord = Partial<Kept> & { $$deleted?: true }

/** @returns what stands on a line, or undefined when that is no record of NeDB's */
function recordOf(line: Buffer): LineRecord | undefined {
  let value: unknown
  if (!isUtf8(line)) return undefined
  try {
    value = JSON.parse(line.toString())
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  // Lines about indexes are NeDB's own; a collection's spec says which it has.
  if ('$$indexCreated' in value || '$$indexRemoved' in value) return {}
  if (!('_id' in value) || typeof value._id !== 'string') return undefined
  if ('$$deleted' in value) return value as LineRecord
  const kept = value as Kept
  return typeof kept.doc === 'string' && kept.sum === sumOf(kept) ? kept : undefined
}

/** @returns what was done, as a sentence */
async function repair(path: string, damage: Damage): Promise<string> {
  const copy = `${path}.damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`
  let kept = `${damage.torn ? 'what was cut off' : 'the file as it was'} is ${copy}`
  try {
    // Power goes every day in some schools: of a torn end only that end is kept.
    if (damage.torn)
      await pipeline(
        createReadStream(path, { start: damage.goodEnd }),
        createWriteStream(copy, { mode: 0o600 }),
      )
    else await copyFile(path, copy)
    await synced(copy)
  } catch (error) {
    await rm(copy, { force: true })
    if (!(damage.torn && isFull(error))) throw error
    kept = 'there was no room to keep it'
  }
  if (damage.within) await rewrite(path, copy)
  else await truncate(path, damage.goodEnd)
  const what = damage.within ? `${damage.bad} damaged lines were taken out of` : 'a torn end was cut off'
  return `${what} ${basename(path)}; ${kept}`
}

async function rewrite(path: string, from: string): Promise<void> {
  const temporary = temporaryOf(path)
  const file = await open(temporary, 'w', 0o600)
  try {
    for await (const { bytes } of lines(from)) {
      if (recordOf(bytes) !== undefined) await file.write(Buffer.concat([bytes, Buffer.from('\n')]))
    }
    await file.sync()
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await synced(dirname(path))
}

async function truncate(path: string, size: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.truncate(size)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes sure that a file, or the names in a directory, are on the disk. */
export async function synced(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
