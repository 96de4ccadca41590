import type { Logger } from '../../../core/api.js'
import { writeWhole } from '../builds/disk.js'
import type { Module } from '../public.js'
import { systemConfig } from './stanza.js'

/** An rsyncd.conf for deployments that prefer the daemon of their system. */
export class SystemFile {
  readonly #path: string
  readonly #log: Logger
  #written: string | undefined
  #writing: Promise<void> = Promise.resolve()
  /** Why it does not say what is published, when it does not. */
  #problem: string | undefined

  constructor(path: string, log: Logger) {
    this.#path = path
    this.#log = log
  }

  get problem(): string | undefined {
    return this.#problem
  }

  /** Writes what has changed. Never throws: who is served by us needs no such file. */
  write(modules: readonly Module[]): Promise<void> {
    const text = systemConfig(modules)
    this.#writing = this.#writing.then(() => this.#put(text))
    return this.#writing
  }

  async #put(text: string): Promise<void> {
    if (text === this.#written) return
    try {
      await writeWhole(this.#path, text)
      this.#written = text
      this.#problem = undefined
    } catch (error) {
      this.#problem = `${this.#path} could not be written`
      this.#log.error({ err: error }, this.#problem)
    }
  }
}
