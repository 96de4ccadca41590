import { join } from 'node:path'
import { asError, type Logger, RequestError, type StreamShape } from '../../../core/api.js'
import { type Expected, partialCodes } from '../archive/incomplete.js'
import { datastore, documents } from '../archive/layout.js'
import type { RsyncCommand } from '../rsync/command.js'
import { deletes, takesAll, tellsOfErrors } from '../rsync/options.js'
import { Changes } from './changes.js'
import { watchPace } from './deadline.js'
import type { Flusher } from './flusher.js'
import { type Bounds, DiskFull, type Guard, guard, OverQuota, refusalFor } from './guard.js'
import type { Keeper } from './keeper.js'
import type { Ledger } from './ledger.js'
import type { Mark, Marks } from './marks.js'
import type { Processes } from './processes.js'
import { rollBack } from './rollback.js'
import { hasRoom } from './room.js'
import { limitReached, type Runner } from './runner.js'
import type { Caller, Session } from './session.js'

interface Parts {
  caller: Caller
  command: RsyncCommand
  before: readonly string[]
  args: readonly string[]
  shape: StreamShape
  cwd: string
  /** Where rsync says what it changed. */
  log: string
  temporary: string
  /** The learner's live tree. */
  live: string
  /** What may come; undefined when nothing is written. */
  bounds: Bounds | undefined
  /** How the live tree was before it. */
  previous: Previous
  logger: Logger
  ledger: Ledger
  marks: Marks
  keeper: Keeper
  flusher: Flusher
  processes: Processes
  runner: Runner
  finished(uid: string, well: boolean, ms: number): void
}

/** What is known of a live tree. */
interface Previous {
  readonly mark: Mark | undefined
  /** Whether all of it is on the disk. */
  readonly isFlushed: boolean
}

/** For the log. */
function told(code: number | null, { aborted, reason }: AbortSignal): string {
  if (aborted) return `broken off: ${asError(reason).message}`
  return code === 0 ? 'done' : `rsync ended with ${code}`
}

/** sysexits.h: try again later. */
const tryAgain = 75
/** sysexits.h: not permitted. */
const notPermitted = 77

const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' }

/** One session of a laptop, from its first byte to what is done with the last. */
export class Visit implements Session {
  readonly before: readonly string[]
  readonly args: readonly string[]
  readonly shape: StreamShape
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
  readonly #guard: Guard | undefined
  #refusal: RequestError | undefined
  #strike: () => void = () => undefined
  #unwatch: () => void = () => undefined
  #isRefused = false
  #leave: () => void = () => undefined

  /** @param leave gives the turn and the slot back, and cleans up; it does not throw */
  constructor(parts: Parts & { log: string }, leave: () => Promise<void>) {
    const { caller, command, bounds, live, temporary, log } = parts
    this.#parts = parts
    this.before = parts.before
    this.args = parts.args
    this.shape = parts.shape
    this.cwd = parts.cwd
    this.caller = caller
    this.what = `${command.isTrial ? 'trial ' : ''}${command.direction} ${command.place.kind}`
    this.over = new Promise((resolve) => {
      this.#leave = () => {
        void leave().then(resolve)
      }
    })
    this.#changes = new Changes(log)
    if (bounds === undefined) return
    this.#guard = guard(this.#changes, { live, temporary }, bounds, (reason) => this.stop(reason))
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  get refusal(): RequestError | undefined {
    return this.#refusal
  }

  /** Ends it. @param reason what the laptop is told */
  stop(reason: RequestError): void {
    this.#stop.abort(reason)
  }

  refuse(reason: RequestError): void {
    const { caller, logger: log } = this.#parts
    const { uid, nickname, address } = caller
    this.#isRefused = true
    log.warn({ uid, nickname, address, transport: caller.transport }, `refused to ${uid}: ${reason.message}`)
    this.stop(reason)
  }

  started(pid: number): void {
    this.#unwatch = watchPace(pid, this.#parts.runner.pace, (reason) => this.stop(reason))
    try {
      this.#strike = this.#parts.processes.note(pid)
    } catch (error) {
      // One that a start after a crash would not find must not run.
      this.#parts.logger.error({ err: error, uid: this.caller.uid }, 'rsync could not be noted, and is ended')
      this.stop(refusalFor(error))
    }
  }

  async ended(code: number | null): Promise<number> {
    this.#strike()
    this.#unwatch()
    const { command, finished, caller, logger: log } = this.#parts
    let isWell = false
    let isPartial = false
    let work: () => Promise<void> = async () => undefined
    try {
      const excess = await this.#guard?.end().catch(() => undefined)
      this.#changes.read()
      const isOver = excess === undefined && !this.signal.aborted
      const isCut = isOver && partialCodes.has(code ?? -1) && (await this.#hasRoom())
      // What a laptop is told is safe must not be lost when the power goes.
      this.#refusal = excess ?? (isOver && (code === 0 || isCut) ? await this.#flush() : undefined)
      if (!this.signal.aborted) this.#refusal ??= limitReached(code)
      isWell = isOver && code === 0 && this.#refusal === undefined
      isPartial = isCut && this.#refusal === undefined
      work = await this.#close(isWell || isPartial, code)
    } finally {
      // The laptop does not wait for this: it hears why while it is still there.
      const after = async () => {
        await work().catch(() => undefined)
        if (!isWell && !isPartial) await this.#makeRoom()
      }
      this.#parts.keeper.follow(
        caller.uid,
        after().finally(() => this.#leave()),
      )
    }
    await this.#noteOverQuota()
    const seconds = Math.round((Date.now() - this.since.getTime()) / 1000)
    const { uid, address, transport } = caller
    log.info(
      { uid, address, transport, code, seconds },
      `${this.what} of ${uid}: ${this.#refusal?.message ?? told(code, this.signal)}`,
    )
    if (this.#isKept && command.place.kind === 'datastore')
      finished(caller.uid, isWell || isPartial, Date.now() - this.since.getTime())
    if (this.#isRefused) return notPermitted
    return code === null || this.signal.aborted || this.#refusal !== undefined ? tryAgain : code
  }

  /** Who is refused for the quota may never come to a snapshot that would show it: an operator is to see it all the same. */
  async #noteOverQuota(): Promise<void> {
    const { bounds, caller, ledger, logger: log } = this.#parts
    const isOver = this.signal.reason instanceof OverQuota || this.#refusal instanceof OverQuota
    if (!isOver || bounds === undefined) return
    const why = `the laptop has more than ${Math.round(bounds.quota / 1e6)} MB, and its last backup was refused for that`
    await ledger
      .raise(caller.uid, 'over-quota', why)
      .catch((error) => log.error({ err: error, uid: caller.uid }, 'a flag could not be kept'))
  }

  /** Has what came written to the disk, where anything did. @returns why it is not there */
  async #flush(): Promise<RequestError | undefined> {
    const { bounds, flusher, marks, caller } = this.#parts
    if (bounds === undefined || !this.#mayBeUnflushed) return undefined
    try {
      await flusher.flush(this.signal)
    } catch (error) {
      if (error instanceof RequestError) return error
      throw error
    }
    // Another flush failed meanwhile: what failed may as well be of this one, and the kernel tells it only once.
    return marks.isDoubtful(caller.uid) ? lost() : undefined
  }

  /** Whether something of what the laptop counts on may not be on the disk. */
  get #mayBeUnflushed(): boolean {
    const { previous, command } = this.#parts
    if (command.place.kind === 'marker') return this.#changes.bytes > 0
    return !previous.isFlushed || !this.#hasSameAsBefore
  }

  /** Whether rsync's log says that nothing was changed. One that a full disk cut short may lack what was done. */
  get #hasSameAsBefore(): boolean {
    return this.#changes.isComplete && this.#changes.count === 0
  }

  async #hasRoom(): Promise<boolean> {
    return hasRoom(this.#parts.temporary).catch(() => false)
  }

  /** What must be here after a good end, where the client's rsync is too old to tell of files that it could not open. */
  get #expected(): Expected | undefined {
    const { options } = this.#parts.command
    const { total } = this.#changes
    if (total === undefined || tellsOfErrors(options) || !takesAll(options)) return undefined
    return { bytes: total, exactly: deletes(options) }
  }

  /** One who fills the disk gives back what he took of it: else nobody could come any more, he neither. */
  async #makeRoom(): Promise<void> {
    const { bounds, caller, temporary, logger: log } = this.#parts
    const folder = this.#expendable
    if (bounds === undefined || folder === undefined) return
    const { uid } = caller
    try {
      if (!(this.signal.reason instanceof DiskFull) && (await hasRoom(temporary))) return
      await rollBack(folder, this.since)
      log.warn({ uid }, `removed what the transfer of ${uid} brought: the disk is full`)
    } catch (error) {
      log.error({ err: error, uid }, `what the transfer of ${uid} brought could not be removed`)
    }
  }

  /** Where it writes, if whatever lies there that a laptop was told is safe is in the snapshots too. */
  get #expendable(): string | undefined {
    const { command, live, previous } = this.#parts
    const { kind } = command.place
    if (kind === 'datastore') return join(live, datastore)
    // Documents wait for a snapshot until the Journal changes; logs never have one.
    return kind === 'documents' && previous.mark === undefined ? join(live, documents) : undefined
  }

  /** Whether it changes what snapshots are taken of. */
  get #isKept(): boolean {
    const { bounds, command } = this.#parts
    return bounds !== undefined && (command.place.kind === 'datastore' || command.place.kind === 'documents')
  }

  /**
   * Decides what becomes of what rsync has done. What must outlive a crash is on the disk when this resolves.
   * @param isOver whether a snapshot is worth it: rsync did everything that it could, and it is all on the disk
   * @returns what is to be done, while the laptop goes
   */
  async #close(isOver: boolean, code: number | null): Promise<() => Promise<void>> {
    const { bounds, caller, command, ledger, marks, previous } = this.#parts
    const { uid } = caller
    const { kind } = command.place
    const nothing = async () => undefined
    if (bounds === undefined || kind === 'marker') return nothing
    const isLogged = code === 0 && this.#hasSameAsBefore
    // What may not be on the disk stays noted as it was when the session began.
    if (!isOver && !(isLogged && previous.isFlushed)) return nothing
    if (kind === 'datastore' && isOver) {
      const wasKept = previous.mark === undefined || previous.mark === 'aside'
      // Without a digest the archive does not have all of that Journal, though nothing changed. And what an old client
      // could not send shows only when what is here is added up.
      const isAll = Boolean(ledger.get(uid)?.digest) && this.#expected === undefined
      const isSame = isLogged && wasKept && isAll
      await marks.flushed(uid, isSame ? previous.mark : code === 0 ? 'whole' : 'incomplete')
      return () => this.#keep(isSame, code ?? 0)
    }
    // Documents wait for the Journal's next change; logs have no history.
    const isAside = kind === 'documents' && !isLogged && previous.mark === undefined
    await marks.flushed(uid, isAside ? 'aside' : previous.mark)
    return nothing
  }

  async #keep(isSame: boolean, code: number): Promise<void> {
    const { caller, keeper, ledger, log } = this.#parts
    const { uid, nickname } = caller
    const named = ledger.get(uid)?.nickname === nickname ? undefined : ledger.note(uid, () => ({ nickname }))
    const transfer = { code, log, expected: this.#expected }
    // The turn is ours until both have ended, however they end.
    const done = await Promise.allSettled([
      named,
      isSame ? keeper.unchanged(uid) : keeper.keep(uid, transfer),
    ])
    for (const one of done) if (one.status === 'rejected') throw one.reason
  }
}

const lost = (): RequestError =>
  new RequestError(
    'UNAVAILABLE',
    'what you sent is not safe: the disk of the school server failed meanwhile',
    {
      hint: 'send it again, and tell your teacher',
    },
  )
