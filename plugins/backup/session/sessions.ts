import { existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  asError,
  diskFault,
  type Logger,
  RequestError,
  removeTree,
  SugarError,
  systemCode,
} from '../../../core/api.js'
import type { Slots } from '../admission/slots.js'
import type { Archivist } from '../archive/archivist.js'
import { datastore, type Layout } from '../archive/layout.js'
import { markerFile, serverArguments } from '../rsync/arguments.js'
import { parseCommand, type RsyncCommand } from '../rsync/command.js'
import { protocolWords, streamShape } from '../rsync/stream.js'
import type { Flusher } from './flusher.js'
import { type Bounds, DiskFull, isFarAbove, refusalFor } from './guard.js'
import type { Keeper } from './keeper.js'
import type { Ledger } from './ledger.js'
import type { Marks, Written } from './marks.js'
import { layOutNames } from './names.js'
import type { Processes } from './processes.js'
import { hasRoom } from './room.js'
import { type Runner, wordsBefore } from './runner.js'
import type { Caller, Session, Sessions } from './session.js'
import { type Size, sizeOf } from './size.js'
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
  flusher: Flusher
  processes: Processes
  runner: Runner
  log: Logger
  quota: number
  /** @throws RequestError when the archive is not there */
  check(): void
  /** A transfer of the learner ended. */
  finished(uid: string, well: boolean, ms: number): void
}

/** Milliseconds in which a laptop hears why its session was ended. */
const lastWords = 300

/** What snapshots are taken of, by the place that is written. */
const writtenIn = {
  datastore: 'dirty',
  documents: 'aside',
  'power-logs': 'logs',
  snapshot: 'logs',
  snapshots: 'logs',
} as const satisfies Record<string, Written>

/** What a session has, and gives back. */
interface Held {
  readonly returns: (() => void)[]
  readonly folders: string[]
}

/** Opens sessions: reads what a laptop wants, waits for its turn and a slot, and lays out where rsync will work. */
export class LiveSessions implements Sessions {
  readonly #parts: Parts
  readonly #visits = new Set<Visit>()
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
    this.#parts.check()
    const held: Held = { returns: [], folders: [] }
    try {
      return await this.#open(caller, command, gone, held)
    } catch (error) {
      await this.#giveBack(held)
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

  async #open(caller: Caller, command: RsyncCommand, gone: AbortSignal, held: Held): Promise<Session> {
    const { layout, ledger, slots, turns, keeper, marks, runner } = this.#parts
    const { uid } = caller
    const { place, direction } = command
    const writes = direction === 'push' && !command.isTrial
    if (place.kind !== 'snapshot' && place.kind !== 'snapshots')
      held.returns.push(await turns.take(uid, writes ? 'write' : 'read', gone))
    if (place.kind !== 'marker') {
      const stay = await slots.enter(uid, gone)
      held.returns.push(() => stay.leave())
    }
    if (this.#closing) throw stopping()
    // It may have waited for long.
    this.#parts.check()
    const scratch = mkdtempSync(join(layout.scratch, 'session-'))
    held.folders.push(scratch)
    const live = layout.live(uid)
    const temporary = join(writes ? layout.temporary(uid) : scratch, basename(scratch))
    const log = join(scratch, 'log')
    const isIncomplete = ledger.get(uid)?.flags.some(({ flag }) => flag === 'incomplete') === true
    const naming = writes && place.kind === 'datastore' && isIncomplete
    const args = serverArguments(command, { temporary, log, naming })
    args.splice(1, 0, ...protocolWords(runner.version))
    const readable = [live]
    if (place.kind === 'snapshot') {
      const isLink = await this.#layOut(uid, place.id, scratch, gone, held)
      if (isLink) args.splice(args.indexOf('.'), 0, '--copy-dirlinks')
      else readable.pop()
    } else if (place.kind === 'snapshots') {
      await keeper.settled(uid)
      await layOutNames(join(scratch, 'snapshots'), await this.#parts.archivist.run('snapshots', { uid }))
      readable.pop()
    } else this.#prepareLive(uid)
    // A live tree in which a session broke off is of no one day: the last snapshot is.
    const isStandIn = place.kind === 'datastore' && direction === 'pull' && !this.#isOneState(uid)
    if (isStandIn) {
      await this.#standIn(uid, join(scratch, place.name), gone)
      readable.pop()
    }
    // What came before must be safe before it is written over.
    if (writes && place.kind !== 'marker') {
      await keeper.recover(uid)
      if (marks.isDue(uid)) await keeper.keep(uid)
    }
    const bounds = writes ? await this.#boundsWithin(uid) : undefined
    // Of what a crash has left there nothing is whole, and only this session writes there now.
    if (writes) await removeTree(layout.temporary(uid))
    held.folders.push(temporary)
    mkdirSync(temporary, { recursive: true, mode: 0o700 })
    const isLaidOut = place.kind === 'snapshot' || place.kind === 'snapshots' || isStandIn
    const cwd = isLaidOut ? scratch : live
    const writable = direction === 'pull' ? [] : writes ? [live, scratch] : [scratch]
    const places = { cwd, writable, readable: [scratch, ...readable], hidden: [layout.root] }
    const previous = { mark: marks.get(uid), isFlushed: marks.unflushedSince(uid) === undefined }
    // Before rsync has touched anything. A marker holds nothing that could be torn.
    if (writes && place.kind !== 'marker') await marks.begin(uid, writtenIn[place.kind])
    if (this.#closing) throw stopping()
    const parts = {
      ...this.#parts,
      logger: this.#parts.log,
      caller,
      command,
      before: wordsBefore(runner, places),
      args,
      shape: streamShape(command, runner.version),
      cwd,
      live,
      log,
      temporary,
    }
    const visit = new Visit({ ...parts, bounds, previous }, async () => {
      await this.#giveBack(held)
      this.#visits.delete(visit)
    })
    this.#visits.add(visit)
    return visit
  }

  /** Turn and slot at once, whatever becomes of the rest. Does not throw. */
  async #giveBack({ returns, folders }: Held): Promise<void> {
    const { log } = this.#parts
    for (const one of returns.reverse()) {
      try {
        one()
      } catch (error) {
        log.error({ err: error }, 'what a session had could not be given back')
      }
    }
    for (const folder of folders) {
      try {
        await removeTree(folder)
      } catch (error) {
        log.error({ err: error }, `${folder} could not be removed; the next start tries again`)
      }
    }
  }

  /** Where far too much lies that no laptop was told is safe, it goes: else each attempt would leave some more. */
  async #boundsWithin(uid: string): Promise<Bounds> {
    const { layout, marks, log } = this.#parts
    const bounds = await this.#boundsOf(uid)
    if (!isFarAbove(bounds)) return bounds
    const live = layout.live(uid)
    const isKept = marks.get(uid) !== 'dirty'
    log.warn({ uid, bytes: bounds.had.bytes }, `removed what ${uid} had sent beyond the quota`)
    // What was acknowledged is in the snapshots, but for the logs, which have no history.
    await removeTree(isKept ? join(live, 'power-logs') : live)
    this.#prepareLive(uid)
    return this.#boundsOf(uid)
  }

  async #boundsOf(uid: string): Promise<Bounds> {
    const { ledger, archivist, quota } = this.#parts
    const had = await this.#had(uid)
    if (quota === 0) return { had, quota, history: 0, kept: 0 }
    const doc = ledger.get(uid)
    const history = doc?.history ?? (await archivist.run('history', { uid })).bytes
    const kept = async () => (await archivist.run('holdings', { uids: [uid] }))[0]?.newest?.bytes
    return { had, quota, history, kept: history + (doc?.bytes ?? (await kept()) ?? 0) }
  }

  /** What a learner has: as the last snapshot counted it where nothing has changed since, for to count takes a while. */
  async #had(uid: string): Promise<Size> {
    const { layout, ledger, marks } = this.#parts
    const live = layout.live(uid)
    const doc = ledger.get(uid)
    const isCounted = doc?.lastGood !== undefined && doc.history !== undefined
    if (marks.get(uid) !== undefined || !isCounted) return sizeOf(live)
    // Snapshots have no logs.
    const logs = join(live, 'power-logs')
    const { bytes, files } = existsSync(logs) ? await sizeOf(logs) : { bytes: 0, files: 0 }
    return { bytes: doc.bytes + bytes, files: doc.files + files }
  }

  #prepareLive(uid: string): void {
    const live = this.#parts.layout.live(uid)
    mkdirSync(join(live, datastore), { recursive: true, mode: 0o700 })
    unlessThere(() => symlinkSync(datastore, join(live, 'current')))
    // Where it is a file, rsync puts neither a directory there nor many files.
    unlessThere(() => writeFileSync(join(live, markerFile), '', { flag: 'wx', mode: 0o600 }))
  }

  /**
   * Puts a snapshot where a pull will find it. The newest one lies there already, as the live tree.
   * @returns whether it is a link to there
   */
  async #layOut(uid: string, id: string, scratch: string, gone: AbortSignal, held: Held): Promise<boolean> {
    const { archivist, keeper, layout, turns } = this.#parts
    const to = join(scratch, 'snapshots', id)
    await keeper.settled(uid)
    if (id === 'latest' && (await this.#isLive(uid))) {
      // Nobody writes there while it is read; by now somebody may have.
      const leave = await turns.take(uid, 'read', gone)
      held.returns.push(leave)
      if (await this.#isLive(uid)) {
        mkdirSync(join(scratch, 'snapshots'))
        symlinkSync(join(layout.live(uid), datastore), to)
        return true
      }
      leave()
    }
    if (!(await hasRoom(scratch, await this.#largest(uid, id)))) throw new DiskFull()
    await archivist.run('layOut', { uid, to, at: id === 'latest' ? undefined : id }, { signal: gone })
    return false
  }

  /** Whether a learner's live tree is what one session of the laptop left there, to its end. */
  #isOneState(uid: string): boolean {
    const mark = this.#parts.marks.get(uid)
    return mark !== 'dirty' && mark !== 'old'
  }

  /** Lays the newest snapshot out under the name that a pull asks for. @throws RequestError NOT_FOUND without one */
  async #standIn(uid: string, to: string, gone: AbortSignal): Promise<void> {
    const { archivist, layout } = this.#parts
    if ((await archivist.run('snapshots', { uid })).length === 0) {
      throw new RequestError('NOT_FOUND', 'no backup of this laptop has come to its end yet', {
        hint: 'back up again; what has come already is not sent twice',
      })
    }
    if (!(await hasRoom(layout.scratch, await this.#largest(uid, 'latest')))) throw new DiskFull()
    await archivist.run('layOut', { uid, to, at: 'latest' }, { signal: gone })
  }

  /** How much is laid out for a name at most: for `latest` and dates, the archive says later which it is. */
  async #largest(uid: string, id: string): Promise<Size> {
    const all = await this.#parts.archivist.run('snapshots', { uid })
    const meant = all.filter((one) => one.id === id)
    const sizes = meant.length > 0 ? meant : all
    return {
      bytes: Math.max(0, ...sizes.map(({ bytes }) => bytes)),
      files: Math.max(0, ...sizes.map(({ files }) => files)),
    }
  }

  /** Whether the live tree is as the newest snapshot has it, and that one is what is wanted. */
  async #isLive(uid: string): Promise<boolean> {
    const { ledger, marks, archivist } = this.#parts
    if (marks.get(uid) !== undefined || ledger.get(uid)?.lastGood === undefined) return false
    // The ledger may not have heard of it before a crash.
    const [holding] = await archivist.run('holdings', { uids: [uid] })
    return holding?.newest !== undefined && holding.braked.length === 0
  }

  /** What a laptop may be told of an error. */
  #told(caller: Caller, error: unknown): Error {
    if (error instanceof RequestError) return error
    if (diskFault(error) === 'full') return new DiskFull()
    if (error instanceof SugarError && (error.code === 'NOT_FOUND' || error.code === 'USAGE')) {
      return new RequestError('NOT_FOUND', error.message, {
        hint: 'fetch current, snapshots/latest, or snapshots/DATE of a day with a backup',
      })
    }
    this.#parts.log.error({ err: error, uid: caller.uid }, `a session of ${caller.uid} could not be opened`)
    if (error instanceof SugarError || diskFault(error) !== undefined) return refusalFor(error)
    return asError(error)
  }
}

const stopping = (): RequestError =>
  new RequestError('UNAVAILABLE', 'the school server is stopping', { hint: 'try again in a few minutes' })

function unlessThere(make: () => void): void {
  try {
    make()
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}
