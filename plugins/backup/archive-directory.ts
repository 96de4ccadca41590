import { type DirectoryGuard, KeptDirectory, SystemError } from '../../core/api.js'

/** Where the backups are; see the option `backup-path`. */
export const backupDirectory = new KeptDirectory({
  name: 'backup-path',
  holds: 'the backups',
  option: 'backup-path',
  below: 'backup',
  trace: 'store/backup.ledger.db',
  resumes: true,
})

type Guard = Pick<DirectoryGuard, 'problem' | 'path' | 'id'>

/**
 * Whether the archive is there. Its disk may be missing when the server starts, and go or come while it runs: then
 * laptops are told to come again, and nothing is read or written in its place.
 */
export class ArchiveDirectory {
  readonly #guard: Guard
  readonly #prepare: () => Promise<void>
  /** Identity of the directory that it was made ready in. */
  #prepared: string | undefined

  /** @param prepare makes the archive ready for work; called when it is there, once for each directory */
  constructor(guard: Guard, prepare: () => Promise<void>) {
    this.#guard = guard
    this.#prepare = prepare
  }

  get path(): string {
    return this.#guard.path
  }

  get isAway(): boolean {
    return this.#guard.problem() !== undefined
  }

  /** Whether what is there now was made ready. */
  get isPrepared(): boolean {
    return this.#prepared === this.#id
  }

  /** Why nothing can be read or written now, if so. Costs one stat(). */
  problem(): SystemError | undefined {
    const away = this.#guard.problem()
    if (away !== undefined || this.isPrepared) return away
    return new SystemError('UNAVAILABLE', `the backups in ${this.path} are being made ready`, {
      hint: 'wait a few seconds; if it stays so, see the log',
    })
  }

  /** @throws SystemError WRONG_DIRECTORY, UNAVAILABLE */
  check(): void {
    const problem = this.problem()
    if (problem !== undefined) throw problem
  }

  /** Makes it ready once it is there. @returns whether it is there and ready */
  async open(): Promise<boolean> {
    if (this.#guard.problem() !== undefined) return false
    const id = this.#id
    if (this.#prepared !== id) await this.#prepare()
    this.#prepared = id
    return true
  }

  /** On a disk that is full it may have none yet. */
  get #id(): string {
    return this.#guard.id ?? 'none'
  }
}
