import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, readSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemCode } from '../../../core/api.js'
import type { ObjectName } from '../tree.js'
import { damaged } from './codec.js'
import { syncFolder } from './flush.js'
import type { Piece } from './pieces.js'

/** The first line of a snapshot's file. */
export interface Header {
  /** The format. */
  readonly journal: 1
  readonly id: string
  readonly uid: string
  /** ISO 8601, UTC; by the server's clock. */
  readonly at: string
  /** Changes of files that the kernel stamped before this time (seconds, nanoseconds) are in it. */
  readonly seen: readonly [number, number]
  /** Entries of the Journal. */
  readonly entries: number
  readonly files: number
  /** Of all files together. */
  readonly bytes: number
  /** Bytes that it added to the disk. */
  readonly added: number
  /** Digest of the Journal (docs/reference/protocols.md: backup, The Journal digest). */
  readonly digest: string
  /**
   * Taken after the machine was started again, of what a power cut may have torn, before the laptop had come again.
   * When it comes and nothing is found to be other, this is taken back.
   */
  readonly unconfirmed?: true
  /** What the session left out of what the laptop has, in words; undefined for a snapshot of all of it. */
  readonly incomplete?: string
}

/** A snapshot: what it says of itself, and the pieces that hold its rows. */
export interface Manifest {
  readonly header: Header
  readonly pieces: readonly Piece[]
}

const longestHeader = 4096
const sealBytes = 32
/** Bytes of a bundle's name; of a piece: its bundle's number, at, length (4 each), sum, check. */
const nameBytes = 32
const pieceBytes = 3 * 4 + 16 + 8

/** Writes a snapshot's file: whole and on the disk, or not at all. */
export function writeManifest(path: string, { header, pieces }: Manifest, scratch: string): void {
  const body = Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), encodePieces(pieces)])
  const seal = createHash('sha256').update(body).digest()
  const file = openSync(scratch, 'w', 0o600)
  try {
    for (const bytes of [body, seal]) {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
    }
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(scratch, path)
  syncFolder(dirname(path))
}

/** @throws SystemError DAMAGED when a byte is missing, changed or too many; ENOENT */
export function readManifest(path: string): Manifest {
  const bytes = legible(path, () => readFileSync(path))
  const body = bytes.subarray(0, -sealBytes)
  if (
    bytes.length < sealBytes ||
    !createHash('sha256').update(body).digest().equals(bytes.subarray(-sealBytes))
  )
    throw damaged(`${path} is not what was written`)
  const end = body.indexOf(0x0a)
  const header = parseHeader(body.subarray(0, end).toString(), path)
  return { header, pieces: decodePieces(body.subarray(end + 1), path) }
}

/** The number of bundles and their names, then the pieces in the order of their rows. */
function encodePieces(pieces: readonly Piece[]): Buffer {
  const numbers = new Map<ObjectName, number>()
  for (const { bundle } of pieces) if (!numbers.has(bundle)) numbers.set(bundle, numbers.size)
  const out = Buffer.alloc(4 + numbers.size * nameBytes + pieces.length * pieceBytes)
  let end = out.writeUInt32BE(numbers.size, 0)
  for (const name of numbers.keys()) end += out.write(name, end, 'hex')
  for (const { bundle, at, length, sum, check } of pieces) {
    for (const number of [numbers.get(bundle) ?? 0, at, length]) end = out.writeUInt32BE(number, end)
    end += out.write(sum, end, 'hex')
    end += out.write(check, end, 'hex')
  }
  return out
}

function decodePieces(bytes: Buffer, path: string): Piece[] {
  const count = bytes.length < 4 ? 0 : bytes.readUInt32BE(0)
  const start = 4 + count * nameBytes
  if (bytes.length < start || (bytes.length - start) % pieceBytes !== 0)
    throw damaged(`${path} ends in the middle of a piece`)
  const pieces: Piece[] = []
  for (let at = start; at < bytes.length; at += pieceBytes) {
    const number = bytes.readUInt32BE(at)
    if (number >= count) throw damaged(`${path} names a bundle that it has not`)
    const name = 4 + number * nameBytes
    pieces.push({
      bundle: bytes.toString('hex', name, name + nameBytes),
      at: bytes.readUInt32BE(at + 4),
      length: bytes.readUInt32BE(at + 8),
      sum: bytes.toString('hex', at + 12, at + 28),
      check: bytes.toString('hex', at + 28, at + 36),
    })
  }
  return pieces
}

/** What a snapshot says of itself, without its rows being read or checked. @throws SystemError DAMAGED; ENOENT */
export function readHeader(path: string): Header {
  const bytes = legible(path, () => beginningOf(path))
  const end = bytes.indexOf(0x0a)
  return parseHeader(bytes.subarray(0, Math.max(end, 0)).toString(), path)
}

function beginningOf(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(longestHeader)
    return buffer.subarray(0, readSync(file, buffer, 0, longestHeader, 0))
  } finally {
    closeSync(file)
  }
}

/** A file that the disk does not give back is as good as one that was changed. */
function legible<R>(path: string, read: () => R): R {
  try {
    return read()
  } catch (error) {
    throw systemCode(error) === 'ENOENT'
      ? error
      : damaged(`${path} cannot be read (${systemCode(error)})`, error)
  }
}

function parseHeader(text: string, path: string): Header {
  try {
    const header = JSON.parse(text) as Header
    if (
      header.journal === 1 &&
      typeof header.id === 'string' &&
      Array.isArray(header.seen) &&
      typeof header.at === 'string' &&
      !Number.isNaN(Date.parse(header.at))
    )
      return header
  } catch {
    // Told below.
  }
  throw damaged(`the first line of ${path} is garbled`)
}
