import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Peaks } from '../support/peaks.js'
import { freePort, type Served, serve } from '../support/process.js'
import { Daemon } from './daemon.js'

const program = fileURLToPath(new URL('../../core/bin/sugar-server.js', import.meta.url))

/** One that serves rsync's protocol. */
export interface Side {
  readonly port: number
}

/** What the parts of the bench share: both servers, which serve the directories below `pub`. */
export class Stage {
  readonly folder: string
  readonly rounds: number
  readonly ours: Side
  readonly daemon: Daemon
  readonly peaks: Peaks
  readonly #served: Served

  private constructor(folder: string, rounds: number, port: number, served: Served, daemon: Daemon) {
    this.folder = folder
    this.rounds = rounds
    this.ours = { port }
    this.daemon = daemon
    this.#served = served
    this.peaks = new Peaks(served.child.pid ?? 0)
  }

  /** @param where a directory, in which one is made for all there is to write */
  static async open(where: string, rounds: number): Promise<Stage> {
    const folder = await mkdtemp(join(where, 'sugar-bench-'))
    const port = await freePort()
    const served = await serve(process.execPath, [
      program,
      ...['--plugins', 'rsync', '--root', join(folder, 'root'), '--rsync-root', join(folder, 'rsync')],
      ...['--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', String(port)],
    ])
    return new Stage(folder, rounds, port, served, await Daemon.open(folder))
  }

  /** What lies below it is served by both. */
  get pub(): string {
    return join(this.folder, 'rsync', 'pub')
  }

  async close(): Promise<void> {
    this.peaks.end()
    await Promise.all([this.#served.end(), this.daemon.close()])
    await rm(this.folder, { recursive: true, force: true })
  }
}
