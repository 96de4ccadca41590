import { randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../errors.js'
import { writeFileAtomicSync } from './durable-file.js'

/** The identity of a directory, as it stands in the directory itself and in the root. */
export interface Identity {
  /** What the directory is for: `backup-path`, `keyring`. */
  readonly directory: string
  /** 32 hex digits, random. */
  readonly id: string
  /** Absolute path that the directory had when it was remembered. */
  readonly path: string
}

/** The file in a directory that holds its identity. */
export const markerName = '.sugar-server-directory'

/** Bytes; longer files are refused. */
const longest = 8192
const idForm = /^[0-9a-f]{32}$/

/** What tells one file from another, and from the same file after a change. */
export interface Stamp {
  readonly dev: number
  readonly ino: number
  readonly ctimeMs: number
}

export const newId = (): string => randomBytes(16).toString('hex')

/**
 * Reads an identity.
 * @returns undefined when the file does not exist; `damaged` when its content is not an identity
 * @throws Error of the system, but for ENOENT and ENOTDIR
 */
export function readIdentity(path: string): Identity | 'damaged' | undefined {
  let file: number
  try {
    // A link could lead to the marker of another directory.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    if (systemCode(error) === 'ELOOP') return 'damaged'
    throw error
  }
  try {
    if (!fstatSync(file).isFile()) return 'damaged'
    const bytes = Buffer.alloc(longest + 1)
    const length = readSync(file, bytes, 0, bytes.length, 0)
    return length > longest ? 'damaged' : parseIdentity(bytes.toString('utf8', 0, length))
  } finally {
    closeSync(file)
  }
}

/** Text of an identity file. @returns `damaged` when it is not one */
export function parseIdentity(text: string): Identity | 'damaged' {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'damaged'
  }
  const { directory, id, path } = (value ?? {}) as Record<string, unknown>
  if (typeof directory !== 'string' || typeof id !== 'string' || typeof path !== 'string') return 'damaged'
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(directory) || !idForm.test(id) || !path.startsWith('/')) return 'damaged'
  return { directory, id, path }
}

/** Writes an identity durably. @throws Error of the system */
export function writeIdentity(path: string, { directory, id, path: where }: Identity): void {
  writeFileAtomicSync(path, `${JSON.stringify({ directory, id, path: where })}\n`)
}

/** The stamp of a directory's marker; undefined when there is no marker. @throws Error of the system */
export function stampOf(folder: string): Stamp | undefined {
  try {
    const { dev, ino, ctimeMs } = statSync(join(folder, markerName))
    return { dev, ino, ctimeMs }
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}

export const isSameStamp = (a: Stamp | undefined, b: Stamp | undefined): boolean =>
  a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino && a.ctimeMs === b.ctimeMs
