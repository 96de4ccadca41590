import { createHash, type Hash } from 'node:crypto'
import type { BytePath } from '../tree.js'

/**
 * A Journal's digest, by which a laptop asks whether the server has it already: sha256 over
 * `<path> NUL <size> NUL <mtime in whole seconds> LF` of each file, sorted by path
 * (docs/reference/protocols.md: backup, The Journal digest).
 */
export class Digest {
  readonly #hash: Hash = createHash('sha256')
  #lines = ''

  file(path: BytePath, size: number, seconds: number): void {
    this.#lines += `${path}\0${size}\0${seconds}\n`
    // A call for each of 32,000 lines would take longer than the hash.
    if (this.#lines.length > 64 << 10) this.#pass()
  }

  done(): string {
    this.#pass()
    return this.#hash.digest('hex')
  }

  #pass(): void {
    this.#hash.update(this.#lines, 'latin1')
    this.#lines = ''
  }
}
