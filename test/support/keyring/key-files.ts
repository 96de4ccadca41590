import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { temporaryDirectorySync } from '../temporary-directory.js'

/** A file that the real makekey wrote: `made('lease.private')`. */
export const made = (name: string): Buffer => readFileSync(join('test/vectors/bios-crypto/keys', name))

/** A disk of one megabyte; undefined, and the test skipped, where this user cannot mount one. */
export function smallDisk(t: Test): string | undefined {
  const disk = temporaryDirectorySync(t)
  const options = ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', disk]
  const { status, error, stderr } = spawnSync('mount', options)
  // Lazily: what a failed test left open must not keep it.
  t.teardown(() => void spawnSync('umount', ['--lazy', disk]))
  if (status === 0) return disk
  t.pass('needs a mounted tmpfs', { skip: `mount: ${error?.message ?? String(stderr).trim()}` })
  return undefined
}

/** Leaves not one byte. @returns what makes room again */
export function fill(disk: string): () => void {
  const path = join(disk, 'ballast')
  const ballast = openSync(path, 'w')
  for (let size = 1 << 16; size >= 1; size = Math.floor(size / 16)) {
    try {
      for (;;) writeSync(ballast, Buffer.alloc(size, 1))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  closeSync(ballast)
  return () => rmSync(path)
}
