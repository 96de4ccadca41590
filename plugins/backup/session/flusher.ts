import { asError, type Logger, RequestError, SugarError, syncFileSystem } from '../../../core/api.js'

/** Milliseconds that a laptop waits for the disk: old ones give up after 160 s without a word. */
const patience = 120_000

interface Means {
  readonly log: Logger
  /** Flushes the file system; settles when that has ended, whatever the signal says. */
  readonly sync?: (path: string, signal: AbortSignal) => Promise<void>
  readonly longest?: number
  /** Is called when a flush failed: what was written before may be lost, and the kernel tells so only once. */
  failed(): Promise<void>
}

/**
 * Has what laptops sent written to the disk, before they are told that it is kept. One flush of the file system serves
 * all who wait for it; who comes while one is under way waits for the next, since that one may have passed by his files.
 */
export class Flusher {
  readonly #path: string
  readonly #means: Means
  readonly #sync: NonNullable<Means['sync']>
  readonly #longest: number
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #problem: string | undefined
  /** A disk that failed once is not well because it took something later. */
  #lasts = false

  /** @param path any directory of the file system */
  constructor(path: string, means: Means) {
    this.#path = path
    this.#means = means
    this.#sync = means.sync ?? syncFileSystem
    this.#longest = means.longest ?? patience
  }

  /** What an operator should know, for status and /health. */
  get problem(): string | undefined {
    return this.#problem
  }

  /**
   * Resolves when everything that was written before the call is on the disk.
   * @param signal gives it up
   * @throws RequestError whose message the laptop is told; the signal's reason
   */
  async flush(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const turn = this.#turn()
    let late: NodeJS.Timeout | undefined
    let abort = () => {}
    const given = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(this.#tooLate()), this.#longest)
      abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
    })
    try {
      await Promise.race([turn, given])
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', abort)
    }
  }

  #turn(): Promise<void> {
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#run()
    this.#next = this.#running.catch(() => undefined).then(() => this.#run())
    return this.#next
  }

  #run(): Promise<void> {
    this.#next = undefined
    const work = this.#once()
    // The callers that wait get the error; there may be none left.
    work.catch(() => undefined)
    this.#running = work
    const ended = () => {
      if (this.#running === work) this.#running = undefined
    }
    work.then(ended, ended)
    return work
  }

  async #once(): Promise<void> {
    const late = AbortSignal.timeout(this.#longest)
    try {
      await this.#sync(this.#path, late)
    } catch (error) {
      if (late.aborted) throw this.#tooLate()
      throw await this.#broken(error)
    }
    if (!this.#lasts) this.#problem = undefined
  }

  async #broken(error: unknown): Promise<RequestError> {
    const { log, failed } = this.#means
    const { message } = asError(error)
    const isFull = error instanceof SugarError && error.code === 'NO_SPACE'
    this.#lasts = !isFull
    this.#problem = `what laptops sent at ${new Date().toISOString()} could not be written to the disk: ${message}; ${isFull ? 'make room' : 'look at the disk ("dmesg"), and replace it if it fails'}`
    log.error({ err: error }, this.#problem)
    await failed()
    return new RequestError(
      isFull ? 'NO_SPACE' : 'UNAVAILABLE',
      'what you sent is not safe: the disk of the school server could not write it',
      { hint: 'tell your teacher' },
    )
  }

  #tooLate(): RequestError {
    const seconds = Math.round(this.#longest / 1000)
    const problem = `the disk of the backups takes longer than ${seconds} s to write what laptops sent: they are told to come again; see what else writes there, and whether the disk is well`
    if (this.#problem !== problem) this.#means.log.error(problem)
    if (!this.#lasts) this.#problem = problem
    return new RequestError(
      'UNAVAILABLE',
      'what you sent is not safe yet: the disk of the school server did not write it in time',
      { hint: 'send it again later' },
    )
  }
}
