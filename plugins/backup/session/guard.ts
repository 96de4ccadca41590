import { lstatSync, readdirSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError } from '../../../core/api.js'
import type { Changes } from './changes.js'

export interface Bounds {
  /** What the learner has before the transfer. */
  readonly bytes: number
  readonly files: number
  /** Bytes that the learner may have; 0: any number. */
  readonly quota: number
}

/** Files of one learner: many times what a Journal has, and few enough for the memory of the machine. */
const mostFiles = 400_000
/** What stays free, so that what is under way can end and things be removed: bytes and inodes, or a share of a small disk. */
const leastFree = 32 << 20
const leastNodes = 500
const leastShare = 0.02
/** Share of a quota that may come from somebody who is above it. */
const exchanged = 0.1
const between = 1000

/**
 * Watches a transfer while it runs, since rsync itself knows no bounds: a sparse terabyte takes no bytes on the wire.
 * @param stop called once, when it must end, with what the laptop is told
 * @returns ends the watch
 */
export function guard(
  changes: Changes,
  temporary: string,
  { bytes, files, quota }: Bounds,
  stop: (reason: RequestError) => void,
): () => void {
  // Who has too much must be able to send that something was deleted, and what else was done that day.
  const most = Math.max(quota, bytes + exchanged * quota)
  const look = async () => {
    changes.read()
    const coming = sizeOf(temporary)
    if (quota > 0 && bytes + changes.newBytes + coming > most) return overQuota(quota)
    if (files + changes.newFiles > mostFiles)
      return new RequestError('NO_SPACE', `a Journal may have ${mostFiles} files`, { hint: 'delete some' })
    const { blocks, bavail, bsize, files: nodes, ffree } = await statfs(temporary)
    const isFull = bavail * bsize < Math.min(leastFree, leastShare * blocks * bsize)
    return isFull || ffree < Math.min(leastNodes, leastShare * nodes) ? diskFull() : undefined
  }
  const timer = setInterval(() => {
    look().then(
      (reason) => {
        if (reason === undefined) return
        clearInterval(timer)
        stop(reason)
      },
      // The folder is gone when the transfer has just ended.
      () => undefined,
    )
  }, between)
  return () => clearInterval(timer)
}

export const diskFull = (): RequestError =>
  new RequestError('NO_SPACE', 'the disk of the school server is full', { hint: 'tell your teacher' })

const overQuota = (quota: number): RequestError =>
  new RequestError('NO_SPACE', `your share of the school server, ${Math.round(quota / 1e6)} MB, is used up`, {
    hint: 'delete what you no longer need, or ask your teacher',
  })

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + lstatSync(join(folder, name)).size, 0)
}
