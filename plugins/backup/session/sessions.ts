import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { asError, type Logger, RequestError, SugarError } from '../../../core/api.js'
import type { Slots } from '../admission/slots.js'
import type { Archivist } from '../archive/archivist.js'
import { datastore, type Layout } from '../archive/layout.js'
import { serverArguments } from '../rsync/arguments.js'
import { parseCommand, type RsyncCommand } from '../rsync/command.js'
import { diskFull } from './guard.js'
import type { Keeper } from './keeper.js'
import type { Ledger } from './ledger.js'
import type { Marks } from './marks.js'
import type { Processes } from './processes.js'
import type { Caller, Session, Sessions } from './session.js'
import type { Turns } from './turns.js'
import { Visit } from './visit.js'

export interface Parts {
  layout: Layout
  slots: Slots
  turns: Turns
  archivist: Archivist
  keeper: Keeper
  ledger: Ledger
  marks: Marks
  processes: Processes
  log: Logger
  quota: number
  /** A transfer of the learner ended. */
  finished(uid: string, well: boolean, ms: number): void
}

/** Milliseconds in which a laptop hears why its session was ended. */
const lastWords = 300

/** Opens sessions: reads what a laptop wants, waits for its turn and a slot, and lays out where rsync will work. */
export class LiveSessions implements Sessions {
  readonly #parts: Parts
  readonly #visits = new Set<Visit>()
  #next = 1
  #closing = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Those who are here now. */
  get visits(): readonly Visit[] {
    return [...this.#visits]
  }

  async open(caller: Caller, text: string, gone: AbortSignal): Promise<Session> {
    const command = parseCommand(text)
    if (this.#closing) throw stopping()
    const undo: (() => void)[] = []
    try {
      return await this.#open(caller, command, gone, undo)
    } catch (error) {
      for (const one of undo.reverse()) one()
      throw this.#told(caller, error)
    }
  }

  /** Opens nothing any more; waits for those who are here. */
  async drain(): Promise<void> {
    this.#closing = true
    await Promise.all(this.visits.map((visit) => visit.over))
  }

  /** Ends those who are still here. */
  async close(): Promise<void> {
    this.#closing = true
    if (this.#visits.size === 0) return
    for (const visit of this.#visits) visit.stop(stopping())
    await this.drain()
    // A laptop's ssh forgets what it was told when its connection is closed in the same moment.
    await sleep(lastWords)
  }

  async #open(
    caller: Caller,
    command: RsyncCommand,
    gone: AbortSignal,
    undo: (() => void)[],
  ): Promise<Session> {
    const { layout, slots, turns, keeper, marks } = this.#parts
    const { uid } = caller
    const { place, direction } = command
    const writes = direction === 'push'
    if (place.kind !== 'snapshot') undo.push(await turns.take(uid, writes ? 'write' : 'read', gone))
    if (place.kind !== 'marker') {
      const stay = await slots.enter(uid, gone)
      undo.push(() => stay.leave())
    }
    if (this.#closing) throw stopping()
    const scratch = join(layout.scratch, `session-${process.pid}-${this.#next++}`)
    const temporary = join(scratch, 'temporary')
    undo.push(() => rmSync(scratch, { recursive: true, force: true }))
    mkdirSync(temporary, { recursive: true, mode: 0o700 })
    const log = join(scratch, 'log')
    const args = serverArguments(command, { temporary, log })
    if (place.kind === 'snapshot') {
      if (await this.#layOut(uid, place.id, scratch, gone, undo))
        args.splice(args.indexOf('.'), 0, '--copy-dirlinks')
    } else this.#prepareLive(uid)
    // Holes are filled: rsync leaves a sparse file at its old length until the end, where nobody sees it grow.
    if (writes) args.splice(args.indexOf('.'), 0, '--no-sparse')
    // What came before must be safe before it is written over.
    if (writes && place.kind !== 'marker' && marks.get(uid) === 'whole') await keeper.keep(uid)
    const cwd = place.kind === 'snapshot' ? scratch : layout.live(uid)
    const visit = new Visit(
      { ...this.#parts, logger: this.#parts.log, caller, command, args, cwd, log, temporary },
      () => {
        this.#visits.delete(visit)
        for (const one of undo.reverse()) one()
      },
    )
    this.#visits.add(visit)
    return visit
  }

  #prepareLive(uid: string): void {
    const live = this.#parts.layout.live(uid)
    mkdirSync(join(live, datastore), { recursive: true, mode: 0o700 })
    try {
      symlinkSync(datastore, join(live, 'current'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }

  /**
   * Puts a snapshot where a pull will find it. The newest one lies there already, as the live tree.
   * @returns whether it is a link to there
   */
  async #layOut(
    uid: string,
    id: string,
    scratch: string,
    gone: AbortSignal,
    undo: (() => void)[],
  ): Promise<boolean> {
    const { archivist, keeper, layout, turns } = this.#parts
    const to = join(scratch, 'snapshots', id)
    await keeper.settled(uid)
    if (id === 'latest' && this.#isLive(uid)) {
      // Nobody writes there while it is read; by now somebody may have.
      const leave = await turns.take(uid, 'read', gone)
      if (this.#isLive(uid)) {
        undo.push(leave)
        mkdirSync(join(scratch, 'snapshots'))
        symlinkSync(join(layout.live(uid), datastore), to)
        return true
      }
      leave()
    }
    await archivist.run('layOut', { uid, to, at: id === 'latest' ? undefined : id }, { signal: gone })
    return false
  }

  /** Whether the live tree is as the newest snapshot has it, and that one is what is wanted. */
  #isLive(uid: string): boolean {
    const { ledger, marks } = this.#parts
    const doc = ledger.get(uid)
    const isWhole = marks.get(uid) === undefined && doc?.lastGood !== undefined
    return isWhole && doc.flags.every(({ flag }) => flag !== 'mass-change')
  }

  /** What a laptop may be told of an error. */
  #told(caller: Caller, error: unknown): Error {
    if (error instanceof RequestError) return error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'NO_SPACE') return diskFull()
    this.#parts.log.error({ err: error, uid: caller.uid }, `a session of ${caller.uid} could not be opened`)
    if (error instanceof SugarError) {
      return new RequestError('UNAVAILABLE', 'the school server cannot do that now', {
        hint: 'try again later',
      })
    }
    return asError(error)
  }
}

const stopping = (): RequestError =>
  new RequestError('UNAVAILABLE', 'the school server is stopping', { hint: 'try again in a few minutes' })
