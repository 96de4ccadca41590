import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
} from 'node:fs'
import { systemCode } from '../../../core/api.js'
import type { ObjectName } from '../tree.js'

/**
 * Opens a file of ours for reading; a link is not followed. The child may have forbidden everybody to read it on the
 * laptop, and an object may be the same inode: then it is allowed for a moment.
 */
export function openReadable(path: string | Buffer): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW
  let mode: number
  try {
    return openSync(path, flags)
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error
    mode = lstatSync(path).mode & 0o7777
    // It may be a folder that shuts us out, or somebody else's file.
    if ((mode & 0o400) !== 0 || lstatSync(path).uid !== process.geteuid?.()) throw error
  }
  chmodSync(path, mode | 0o400)
  try {
    return openSync(path, flags)
  } finally {
    chmodSync(path, mode)
  }
}

/** Calls with a file that is open for reading, until what that gives is settled. */
export function reading<R>(path: string | Buffer, read: (file: number) => R): R {
  const file = openReadable(path)
  let result: R
  try {
    result = read(file)
  } catch (error) {
    closeSync(file)
    throw error
  }
  if (result instanceof Promise) return result.finally(() => closeSync(file)) as R
  closeSync(file)
  return result
}

/** A file's bytes, or undefined when it has more than the limit. */
export function readUpTo(file: number, limit: number): Buffer | undefined {
  return fstatSync(file).size > limit ? undefined : readFileSync(file)
}

const block = 1 << 20

/** Hashes a file from where it stands, in the memory of one block. */
export function digestOf(file: number): { name: ObjectName; size: number } {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(block)
  let size = 0
  for (;;) {
    const length = readSync(file, buffer, 0, block, size)
    if (length === 0) return { name: hash.digest('hex'), size }
    hash.update(buffer.subarray(0, length))
    size += length
  }
}
