import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../../core/api.js'
import { writeWhole } from '../builds/disk.js'
import { connectionConfig } from '../modules/stanza.js'
import type { Module } from '../public.js'

/** What an rsync that is started now is told. */
export interface Told {
  /** Of the rsyncd.conf. */
  readonly path: string
  readonly modules: readonly Module[]
}

/** The rsyncd.conf for rsyncs that we start: one file, written when the modules are others than before. */
export class Configuration {
  readonly #folder: string
  readonly #tellsFiles: boolean
  readonly #log: Logger
  #text = ''
  #written: Promise<Told> | undefined

  /**
   * @param folder is emptied
   * @param tellsFiles whether each file that is sent is told, for the log
   */
  static async open(folder: string, tellsFiles: boolean, log: Logger): Promise<Configuration> {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return new Configuration(folder, tellsFiles, log)
  }

  private constructor(folder: string, tellsFiles: boolean, log: Logger) {
    this.#folder = folder
    this.#tellsFiles = tellsFiles
    this.#log = log
  }

  /**
   * @returns what is in the file now: all of these modules; or, when it cannot be written, those of before
   * @throws what the disk throws, when there is no file from before
   */
  tell(modules: readonly Module[]): Promise<Told> {
    const text = connectionConfig(modules, this.#tellsFiles)
    if (text === this.#text && this.#written !== undefined) return this.#written
    this.#text = text
    const before = this.#written
    this.#written = this.#write(text, modules, before).catch((error: unknown) => {
      this.#text = ''
      if (before === undefined) throw error
      this.#log.error({ err: error }, 'rsync cannot be told of modules that are new or have changed')
      return before
    })
    return this.#written
  }

  async #write(text: string, modules: readonly Module[], before: Promise<Told> | undefined): Promise<Told> {
    await before?.catch(() => undefined)
    const path = join(this.#folder, 'rsyncd.conf')
    await writeWhole(path, text)
    return { path, modules }
  }
}
