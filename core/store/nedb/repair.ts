import { createReadStream } from 'node:fs'
import { copyFile, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { systemCode } from '../../errors.js'

interface Damage {
  /** Lines that are not JSON objects. */
  bad: number
  /** Where the good beginning ends, in bytes. */
  goodEnd: number
  /** Whether good lines follow a bad one: more than a torn tail. */
  within: boolean
}

/**
 * Makes a data file loadable before NeDB sees it: NeDB drops damaged lines without a word, or refuses a small
 * file for the last line alone.
 *
 * A power cut leaves a torn tail, which nobody was ever told was kept: it is cut off. Damage within the file
 * is taken out. Either way a copy of the file as it was stays beside it.
 * @returns what was done, as a sentence; undefined when the file is sound or absent
 */
export async function repair(path: string): Promise<string | undefined> {
  await adopt(path)
  const damage = await inspect(path)
  if (damage === undefined || damage.bad === 0) return undefined
  const copy = `${path}.damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`
  try {
    await copyFile(path, copy)
    await synced(copy)
  } catch (error) {
    await rm(copy, { force: true })
    throw error
  }
  if (damage.within) await rewrite(path, copy)
  else await truncate(path, damage.goodEnd)
  const what = damage.within ? `${damage.bad} damaged lines were taken out of` : 'a torn end was cut off'
  return `${what} ${basename(path)}; the file as it was is ${copy}`
}

/** NeDB renames a fresh copy over the file. Where only the copy is left it is taken up, and looked at like any. */
async function adopt(path: string): Promise<void> {
  try {
    await stat(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    await rename(`${path}~`, path).catch((missing) => {
      if (systemCode(missing) !== 'ENOENT') throw missing
    })
  }
}

async function inspect(path: string): Promise<Damage | undefined> {
  try {
    if ((await stat(path)).size === 0) return undefined
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  const damage: Damage = { bad: 0, goodEnd: 0, within: false }
  for await (const { line, end } of lines(path)) {
    if (line.length > 0 && !isRecord(line)) damage.bad += 1
    else if (damage.bad === 0) damage.goodEnd = end
    else if (line.length > 0) damage.within = true
  }
  return damage
}

interface Line {
  line: Buffer
  /** Offset behind the line, its line end included. */
  end: number
}

async function* lines(path: string): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0)
  let end = 0
  for await (const chunk of createReadStream(path)) {
    let bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10)) {
      end += at + 1
      yield { line: bytes.subarray(0, at), end }
      bytes = bytes.subarray(at + 1)
    }
    rest = bytes
  }
  if (rest.length > 0) yield { line: rest, end: end + rest.length }
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function isRecord(line: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(decoder.decode(line))
    return (
      typeof value === 'object' &&
      value !== null &&
      ('_id' in value || '$$indexCreated' in value || '$$indexRemoved' in value)
    )
  } catch {
    return false
  }
}

async function rewrite(path: string, from: string): Promise<void> {
  const temporary = `${path}.repairing`
  const file = await open(temporary, 'w', 0o600)
  try {
    for await (const { line } of lines(from)) {
      if (isRecord(line)) await file.write(Buffer.concat([line, Buffer.from('\n')]))
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

async function synced(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
