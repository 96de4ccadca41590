import type { Logger, RequestError } from '../../../core/api.js'
import type { RsyncCommand } from '../rsync/command.js'
import { Changes } from './changes.js'
import { diskFull, guard } from './guard.js'
import type { Keeper } from './keeper.js'
import type { Ledger } from './ledger.js'
import type { Marks } from './marks.js'
import type { Processes } from './processes.js'
import type { Caller, Session } from './session.js'

interface Parts {
  caller: Caller
  command: RsyncCommand
  args: readonly string[]
  cwd: string
  /** Where rsync says what it changed. */
  log: string
  temporary: string
  logger: Logger
  ledger: Ledger
  marks: Marks
  keeper: Keeper
  processes: Processes
  quota: number
  finished(uid: string, well: boolean, ms: number): void
}

const told = (code: number | null, { aborted }: AbortSignal): string =>
  aborted ? 'broken off' : code === 0 ? 'done' : `rsync ended with ${code ?? 'a signal'}`

/** sysexits.h: try again later. */
const tryAgain = 75

const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' }

/** One session of a laptop, from its first byte to what is done with the last. */
export class Visit implements Session {
  readonly args: readonly string[]
  readonly cwd: string
  readonly env = environment
  readonly caller: Caller
  readonly since = new Date()
  /** `push datastore`, `pull snapshot`, ... */
  readonly what: string
  /** When rsync has ended, and no part of the live tree is ours any more. */
  readonly over: Promise<void>
  readonly #parts: Parts
  readonly #stop = new AbortController()
  readonly #changes: Changes
  readonly #wasClean: boolean
  readonly #unguard: () => void
  #strike: () => void = () => undefined
  #leave: () => void = () => undefined

  /** @param leave gives the turn and the slot back */
  constructor(parts: Parts & { log: string }, leave: () => void) {
    const { caller, command, marks, ledger, quota, temporary, log } = parts
    this.#parts = parts
    this.args = parts.args
    this.cwd = parts.cwd
    this.caller = caller
    this.what = `${command.direction} ${command.place.kind}`
    this.over = new Promise((resolve) => {
      this.#leave = () => {
        leave()
        resolve()
      }
    })
    this.#changes = new Changes(log)
    this.#wasClean = marks.get(caller.uid) === undefined
    if (!this.#writes) {
      this.#unguard = () => undefined
      return
    }
    // Before rsync has touched anything.
    if (command.place.kind === 'datastore') marks.set(caller.uid, 'dirty')
    else if (this.#wasClean) marks.set(caller.uid, 'aside')
    const { bytes = 0, files = 0 } = ledger.get(caller.uid) ?? {}
    this.#unguard = guard(this.#changes, temporary, { bytes, files, quota }, (reason) => this.stop(reason))
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Ends it. @param reason what the laptop is told */
  stop(reason: RequestError): void {
    this.#stop.abort(reason)
  }

  started(pid: number): void {
    try {
      this.#strike = this.#parts.processes.note(pid)
    } catch {
      // One that nobody would find after a crash must not run.
      this.stop(diskFull())
    }
  }

  async ended(code: number | null): Promise<number> {
    this.#unguard()
    this.#strike()
    const { command, finished, caller, logger: log } = this.#parts
    const isWell = code === 0 && !this.signal.aborted
    let work: Promise<unknown> = Promise.resolve()
    try {
      if (this.#writes) work = this.#close(isWell)
    } finally {
      this.#parts.keeper.follow(
        caller.uid,
        work.catch(() => undefined).finally(() => this.#leave()),
      )
    }
    const seconds = Math.round((Date.now() - this.since.getTime()) / 1000)
    const { uid, address, transport } = caller
    log.info({ uid, address, transport, code, seconds }, `${this.what} of ${uid}: ${told(code, this.signal)}`)
    const isBackup = command.direction === 'push' && command.place.kind === 'datastore'
    if (isBackup) finished(caller.uid, isWell, Date.now() - this.since.getTime())
    return this.signal.aborted ? tryAgain : (code ?? tryAgain)
  }

  get #writes(): boolean {
    const { direction, place } = this.#parts.command
    return direction === 'push' && (place.kind === 'datastore' || place.kind === 'documents')
  }

  /** Decides what becomes of what rsync has done. What must outlive a crash is written before it returns. */
  #close(isWell: boolean): Promise<unknown> {
    const { caller, command, marks, keeper, ledger } = this.#parts
    const { uid, nickname } = caller
    this.#changes.read()
    const isSame = this.#wasClean && this.#changes.count === 0
    if (isSame) marks.clear(uid)
    if (!isWell || command.place.kind !== 'datastore') return Promise.resolve()
    if (!isSame) marks.set(uid, 'whole')
    const named = ledger.get(uid)?.nickname === nickname ? undefined : ledger.note(uid, () => ({ nickname }))
    return Promise.all([named, isSame ? keeper.unchanged(uid) : keeper.keep(uid)])
  }
}
