import { lstat, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fsyncDir, systemCode, writeFileAtomic } from '../../../core/api.js'
import { unwritten } from '../unpack/fault.js'
import { start } from '../unpack/program.js'

/** Has everything below a directory written to the disk: one flush, where an fsync for each file takes minutes. */
export async function flushTree(path: string, signal: AbortSignal): Promise<void> {
  const ended = await start('sync', ['-f', path], { stdio: ['ignore', 'ignore', 'pipe'], signal }).ended
  if (ended.code !== 0) throw unwritten(path, ended)
}

/** Renames, and has both directories say so on the disk. @param moved called between the two */
export async function move(from: string, to: string, moved?: () => Promise<void>): Promise<void> {
  await rename(from, to)
  await moved?.()
  await fsyncDir(dirname(to))
  await fsyncDir(dirname(from))
}

/** Writes a file for this user alone: whole, or not at all. */
export async function writeWhole(path: string, text: string | AsyncIterable<string>): Promise<void> {
  await writeFileAtomic(path, text, { part: `${path}.part` })
}

/** A link, too, is there, wherever it leads. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false
    throw error
  }
}
