import { createHash, type Hash } from 'node:crypto'
import type { BytePath } from '../tree.js'

/**
 * A Journal's digest, by which a laptop asks whether the server has it already: sha256 over
 * `<path> NUL <size> NUL <mtime in whole seconds> LF` of each file, sorted by path
 * (docs/reference/protocols.md: backup, The Journal digest).
 */
export class Digest {
  readonly #hash: Hash = createHash('sha256')

  file(path: BytePath, size: number, seconds: number): void {
    this.#hash.update(`${path}\0${size}\0${seconds}\n`, 'latin1')
  }

  done(): string {
    return this.#hash.digest('hex')
  }
}
