import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { asError, type Logger, SugarError, SystemError } from '../../../core/api.js'
import { archiveFault } from './flush.js'
import { type Given, type JobName, type Result, roomless } from './jobs.js'
import type { Failure, FromProcess, ToProcess } from './process.js'

const program = fileURLToPath(new URL('./process.js', import.meta.url))

// A Journal of 32,000 files needs 40 MB; garbage is collected early, since the board may have 1 GB in all.
const execArgv = ['--max-semi-space-size=4', '--max-old-space-size=512']

/** Milliseconds after which the idle process ends, and its memory is the machine's again. */
const idle = 60_000

interface Waiting {
  readonly child: ChildProcess
  resolve(value: never): void
  reject(error: Error): void
  progress: ((files: number, bytes: number) => void) | undefined
}

export interface Asking {
  /** Hears now and then how many files and bytes are done. */
  readonly progress?: (files: number, bytes: number) => void
  /** Gives the job up. */
  readonly signal?: AbortSignal
}

/** Has work on the archive done, in a process of its own: it starts when there is some, and ends when there is none. */
export class Archivist {
  readonly #root: string
  readonly #log: Logger
  readonly #check: () => void
  readonly #note: (pid: number) => () => void
  readonly #waiting = new Map<number, Waiting>()
  /** What strikes the note of a process out; none for one that could not be noted. */
  readonly #strikes = new Map<ChildProcess, () => void>()
  #child: ChildProcess | undefined
  #next = 1
  #idle: NodeJS.Timeout | undefined
  #closed = false

  /**
   * @param root of the archive
   * @param note writes down that a process works there, and returns what strikes it out
   * @param check throws when the archive is not there
   */
  constructor(
    root: string,
    log: Logger,
    note: (pid: number) => () => void,
    check: () => void = () => undefined,
  ) {
    this.#check = check
    this.#root = root
    this.#log = log
    this.#note = note
  }

  /**
   * @throws SugarError what the job threw; SystemError UNAVAILABLE when the process ended before the job did, NO_SPACE;
   *   Error with the system's code
   */
  async run<J extends JobName>(
    job: J,
    given: Given<J>,
    { progress, signal }: Asking = {},
  ): Promise<Result<J>> {
    if (this.#closed)
      throw new SystemError('UNAVAILABLE', 'the server is stopping', { hint: 'try again later' })
    this.#check()
    signal?.throwIfAborted()
    clearTimeout(this.#idle)
    const id = this.#next++
    const child = this.#start(job)
    const cancel = () => child.send({ cancel: id } satisfies ToProcess)
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      return await new Promise<Result<J>>((resolve, reject) => {
        this.#waiting.set(id, { child, resolve, reject, progress })
        child.send({ id, job, given } satisfies ToProcess)
      })
    } finally {
      signal?.removeEventListener('abort', cancel)
      this.#waiting.delete(id)
      if (this.#waiting.size === 0) this.#rest()
    }
  }

  /** Ends the process, whatever it is at: everything it does may be cut off at any moment. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#idle)
    const child = this.#child
    if (child === undefined) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  #start(job: JobName): ChildProcess {
    const child = this.#child ?? this.#fork()
    if (child.pid === undefined || this.#strikes.has(child)) return child
    try {
      this.#strikes.set(child, this.#note(child.pid))
    } catch (error) {
      // On a full disk somebody must be able to make room.
      if (roomless.has(job)) return child
      if (![...this.#waiting.values()].some((one) => one.child === child)) {
        this.#child = undefined
        child.kill('SIGKILL')
      }
      throw archiveFault(error, this.#root, 'there is no room for work on the archive')
    }
    return child
  }

  #fork(): ChildProcess {
    const child = fork(program, [this.#root], {
      execArgv,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.on('message', (message: FromProcess) => this.#hear(message))
    child.on('error', (error) => {
      this.#log.error({ err: error }, 'the process that keeps the archive failed')
      // One that could not be started does not end either.
      if (child.pid === undefined) this.#ended(child, null, null)
    })
    child.once('exit', (code, signal) => {
      this.#strike(child)
      this.#ended(child, code, signal)
    })
    this.#child = child
    return child
  }

  #strike(child: ChildProcess): void {
    try {
      this.#strikes.get(child)?.()
    } catch (error) {
      this.#log.warn({ err: error }, `a note of a program that has ended is left: ${asError(error).message}`)
    }
    this.#strikes.delete(child)
  }

  #hear(message: FromProcess): void {
    const waiting = this.#waiting.get(message.id)
    if (waiting === undefined) return
    if ('files' in message) waiting.progress?.(message.files, message.bytes)
    else if ('error' in message) {
      const { stack, ...error } = message.error
      if (stack !== undefined) this.#log.error({ stack }, `work on the archive failed: ${error.message}`)
      waiting.reject(revived(error))
    } else waiting.resolve(message.result as never)
  }

  #ended(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child === child) this.#child = undefined
    const cut = [...this.#waiting.values()].filter((one) => one.child === child)
    if (cut.length > 0 && !this.#closed)
      this.#log.error({ code, signal }, 'the process that keeps the archive ended in its work')
    for (const { reject } of cut) {
      reject(
        new SystemError('UNAVAILABLE', `the work on the archive was cut off (${signal ?? code})`, {
          hint: 'it will be done again; if it stays so, see the log and the memory of the machine',
        }),
      )
    }
  }

  #rest(): void {
    this.#idle = setTimeout(() => {
      const child = this.#child
      // Whoever has work from now on gets a new one.
      this.#child = undefined
      child?.disconnect()
    }, idle)
    this.#idle.unref()
  }
}

function revived({ code, systemCode, message, hint }: Omit<Failure, 'stack'>): Error {
  if (code !== undefined) return new SugarError(code, message, { hint })
  return Object.assign(new Error(message), systemCode !== undefined && { code: systemCode })
}
