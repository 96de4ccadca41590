import { utimesSync } from 'node:fs'
import { below } from '../journal/path.js'
import { syncDisk } from './flush.js'
import { type Layout, placesOfLive } from './layout.js'
import { list } from './listing.js'

/** Seconds: no laptop's clock says this, neither one that was never set. */
const noTime = Date.UTC(1999, 8, 9, 9, 9, 9) / 1000

export interface Distrusted {
  /** How many files lost their time. */
  readonly files: number
}

/**
 * Takes their time away from the files of a live tree that may not have reached the disk: those that the kernel stamped
 * since a time. After a power cut a file may have its size and time and zeros inside; rsync compares sizes and times,
 * and would never send it again. Now it compares what is in them. On the disk when this returns.
 * @param since seconds since 1970; 0: all files
 */
export function distrust(layout: Layout, uid: string, since: number): Distrusted {
  const live = layout.live(uid)
  const places = { ...placesOfLive, 'power-logs': 'power-logs' }
  const files = list(live, places).filter(({ type, changed }) => type === 'file' && changed >= since)
  for (const { lies } of files) utimesSync(below(live, lies), noTime, noTime)
  if (files.length > 0) syncDisk(layout.root)
  return { files: files.length }
}
