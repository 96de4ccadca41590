import { lstat, mkdir, open, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from '../../../core/api.js'
import { unwritten } from '../unpack/fault.js'
import { start } from '../unpack/program.js'

/** Has everything below a directory written to the disk: one flush, where an fsync for each file takes minutes. */
export async function flushTree(path: string, signal: AbortSignal): Promise<void> {
  const ended = await start('sync', ['-f', path], { stdio: ['ignore', 'ignore', 'pipe'], signal }).ended
  if (ended.code !== 0) throw unwritten(path, ended)
}

/** Has a directory's names written to the disk. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Renames, and has both directories say so on the disk. @param moved called between the two */
export async function move(from: string, to: string, moved?: () => Promise<void>): Promise<void> {
  await rename(from, to)
  await moved?.()
  await flushFolder(dirname(to))
  await flushFolder(dirname(from))
}

/** Writes a file for this user alone: whole, or not at all. */
export async function writeWhole(path: string, text: string | AsyncIterable<string>): Promise<void> {
  const part = `${path}.part`
  const file = await open(part, 'w', 0o600)
  try {
    await writeFile(file, text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(part, path)
  await flushFolder(dirname(path))
}

export const makeFolder = (path: string): Promise<unknown> => mkdir(path, { recursive: true, mode: 0o700 })

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
