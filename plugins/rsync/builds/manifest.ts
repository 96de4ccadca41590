import { open } from 'node:fs/promises'
import { RequestError } from '../../../core/api.js'
import { explained } from '../unpack/fault.js'
import { PackedFile } from '../unpack/packed-file.js'

/** Bytes that a manifest may have: those of real builds have ten. */
export const largestManifest = 256 * 1024 * 1024

/**
 * Copies a manifest byte for byte, to the disk. @param to a file that is not there yet
 * @throws RequestError NOT_FOUND, REFUSED, REQUEST_TOO_LARGE; SystemError NO_SPACE, NOT_WRITABLE, REFUSED
 */
export async function copyManifest(from: string, to: string): Promise<void> {
  const source = await openManifest(from)
  try {
    const file = await open(to, 'wx', 0o600)
    try {
      for await (const chunk of source.rest()) await file.writeFile(chunk)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explained(error, to)
  } finally {
    await source.close()
  }
}

/** The sha256 of a manifest, hex. @throws as copyManifest() does */
export async function digestOf(path: string): Promise<string> {
  const source = await openManifest(path)
  try {
    return (await source.sums()).sha256
  } finally {
    await source.close()
  }
}

async function openManifest(path: string): Promise<PackedFile> {
  const file = await PackedFile.open(path)
  if (file.size <= largestManifest) return file
  await file.close()
  throw new RequestError('REQUEST_TOO_LARGE', `${path} has ${file.size} bytes, and no manifest has`)
}
