import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { diskFault, RequestError } from '../../../core/api.js'
import type { Changes } from './changes.js'
import { hasRoom } from './room.js'
import { type Size, sizeOf } from './size.js'

export interface Bounds {
  /** What the learner has in all live places when the transfer begins. */
  readonly had: Size
  /** Bytes of the learner's history, besides. */
  readonly history: number
  /** Bytes of the last backup that ended well, with the history: what others left behind gives no right to more. */
  readonly kept: number
  /** Bytes that the learner may have; 0: any number. */
  readonly quota: number
}

/** Where a transfer writes. */
export interface Watched {
  /** Everything that the learner has. */
  readonly live: string
  readonly temporary: string
}

export interface Guard {
  /** Ends the watch. @returns why what was sent is too much after all, when it came faster than anybody looked */
  end(): Promise<RequestError | undefined>
}

/** Files of one learner: many times what a Journal has, and few enough for the memory of the machine. */
const mostFiles = 400_000
/** Share of a quota that may come from somebody who is above it. */
const exchanged = 0.1
/** Quotas beyond which that ends, and what others left behind is no excuse either. */
const far = 2
const between = 1000

/**
 * Watches a transfer while it runs, since rsync itself knows no bounds: a sparse terabyte takes no bytes on the wire.
 * @param stop called at most once, when it must end, with what the laptop is told
 */
export function guard(
  changes: Changes,
  { live, temporary }: Watched,
  bounds: Bounds,
  stop: (reason: RequestError) => void,
): Guard {
  const { quota, history } = bounds
  const most = mostOf(bounds)
  let { had } = bounds
  // Somebody may be above it by what a transfer left behind that was stopped. A file must come before the one that it
  // takes the place of goes, so that less can be sent.
  const begun = Math.min(had.bytes + history, far * most)
  const limit = Math.max(most, begun)
  const spare = begun > most ? quota : 0
  /** What the log had told when that was counted. */
  let told: Size = { bytes: 0, files: 0 }
  let timer: NodeJS.Timeout | undefined
  let hasEnded = false

  const excess = (limit: number, spare: number): RequestError | undefined => {
    const here = history + had.bytes + changes.weight - told.bytes
    if (quota > 0 && (here > limit || here + bytesIn(temporary) > limit + spare)) return new OverQuota(quota)
    return had.files + changes.newFiles - told.files > mostFiles ? tooManyFiles() : undefined
  }
  const measured = async (limit: number, spare: number) => {
    changes.read()
    if (excess(limit, spare) === undefined) return undefined
    // The log says neither what was deleted nor how long the files were that are longer now.
    told = { bytes: changes.weight, files: changes.newFiles }
    had = await sizeOf(live)
    return excess(limit, spare)
  }
  const look = async () =>
    (await measured(limit, spare)) ?? ((await hasRoom(temporary)) ? undefined : new DiskFull())
  const wait = () => {
    timer = setTimeout(async () => {
      // The folder is gone when the transfer has just ended.
      const reason = await look().catch(() => undefined)
      if (hasEnded) return
      if (reason === undefined) return wait()
      // Else rsync would keep what has come of a file, in the place of the whole one, and it would count from then on.
      for (const name of readdirSync(temporary)) rmSync(join(temporary, name), { force: true })
      stop(reason)
    }, between)
  }
  wait()
  return {
    async end() {
      hasEnded = true
      clearTimeout(timer)
      return measured(most, 0)
    },
  }
}

/** Whether somebody has far more than was ever kept, as one does who tries again and again. */
export const isFarAbove = (bounds: Bounds): boolean =>
  bounds.quota > 0 && bounds.had.bytes + bounds.history > far * mostOf(bounds)

// Who has too much must be able to send that something was deleted, and what else was done that day.
function mostOf({ had, history, kept, quota }: Bounds): number {
  const right = Math.min(kept, had.bytes + history)
  return Math.max(quota, right, Math.min(right + exchanged * quota, far * quota))
}

export class DiskFull extends RequestError {
  constructor() {
    super('NO_SPACE', 'the disk of the school server is full', { hint: 'tell your teacher' })
  }
}

export class DiskFailing extends RequestError {
  constructor() {
    super('DISK_FAILING', 'the disk of the school server is failing', { hint: 'tell your teacher' })
  }
}

/** What a laptop is told when the server could not write something of its own. */
export function refusalFor(error: unknown): RequestError {
  const fault = diskFault(error)
  if (fault === 'full') return new DiskFull()
  if (fault === 'failing') return new DiskFailing()
  return new RequestError('UNAVAILABLE', 'the school server cannot do that now', { hint: 'try again later' })
}

const tooManyFiles = (): RequestError =>
  new RequestError('NO_SPACE', `a Journal may have ${mostFiles} files`, { hint: 'delete some' })

/** A transfer that would take more than the learner's share. */
export class OverQuota extends RequestError {
  /** @param quota bytes */
  constructor(quota: number) {
    super('NO_SPACE', `your share of the school server, ${Math.round(quota / 1e6)} MB, is used up`, {
      hint: 'delete what you no longer need, or ask your teacher',
    })
  }
}

const bytesIn = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + lstatSync(join(folder, name)).size, 0)
