import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../core/api.js'
import { Archivist } from '../../plugins/backup/archive/archivist.js'
import { Layout } from '../../plugins/backup/archive/layout.js'
import { type Place, placeOf } from '../support/disk.js'
import { Peaks } from '../support/peaks.js'

/** The archive without its server: what lies there has come by rsync. */
export class Archive {
  readonly layout: Layout
  readonly archivist: Archivist
  readonly peaks = new Peaks(process.pid)

  private constructor(layout: Layout, archivist: Archivist) {
    this.layout = layout
    this.archivist = archivist
  }

  /** @param root is made */
  static async open(root: string): Promise<Archive> {
    const layout = new Layout(root)
    for (const folder of [layout.scratch, layout.objects, layout.lives, layout.allSnapshots])
      await mkdir(folder, { recursive: true })
    const log = { error: (...words: unknown[]) => console.error(...words) } as unknown as Logger
    return new Archive(layout, new Archivist(root, log, () => () => undefined))
  }

  /** Where a learner's Journal lies. @param number of the learner */
  async live(number: number): Promise<string> {
    const live = this.layout.live(uidOf(number))
    await mkdir(live, { recursive: true })
    return join(live, 'datastore-current')
  }

  /** @returns seconds that it took, and whether it is a new one */
  async snapshot(number: number): Promise<{ seconds: number; fresh: boolean }> {
    const began = performance.now()
    const { fresh } = await this.archivist.run('snapshot', { uid: uidOf(number) })
    return { seconds: (performance.now() - began) / 1000, fresh }
  }

  /** What history takes of the disk. A raw object shares its inode with a live file, and is counted in full. */
  place(): Promise<Place> {
    return placeOf(this.layout.objects, this.layout.allSnapshots)
  }

  async close(): Promise<void> {
    this.peaks.end()
    await this.archivist.close()
  }
}

const uidOf = (number: number): string => number.toString(16).padStart(40, '0')
