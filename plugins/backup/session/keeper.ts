import { join } from 'node:path'
import { asError, diskFault, type Logger, SugarError } from '../../../core/api.js'
import { separately } from '../../id/public.js'
import type { Archivist } from '../archive/archivist.js'
import type { Transfer } from '../archive/incomplete.js'
import type { KeepRules } from '../archive/keeping.js'
import type { Taken } from '../archive/snapshot.js'
import type { Ledger } from './ledger.js'
import type { Marks } from './marks.js'
import { sizeOf } from './size.js'
import type { Turns } from './turns.js'

/** A learner's work is safe: a session ended well, and the archive has what it brought. */
export interface Kept {
  readonly uid: string
  /** The snapshot that has it. */
  readonly snapshot: string
  /** Whether it is a new one. */
  readonly fresh: boolean
  /** Bytes that it added to the disk. */
  readonly added: number
}

interface Parts {
  archivist: Archivist
  ledger: Ledger
  marks: Marks
  turns: Turns
  rules: KeepRules
  log: Logger
  /** Bytes that one learner may have; 0: any number. */
  quota: number
  /** What makes it likely that two laptops back up as this learner, and what to do. */
  sharing?(uid: string): Promise<string | undefined>
  /** Of a learner's live tree. */
  live(uid: string): string
  /** A snapshot added so many bytes to the disk. */
  grew(bytes: number): void
  tell(kept: Kept): void
}

/** Snapshots of one learner after which those that no rule keeps go at once. */
const mostFresh = 50

/** Milliseconds between two sweeps for quotas. */
const betweenSweeps = 3_600_000

/** Share of a quota from which the learner is warned. */
const near = 0.8

const inTurns = (uid: string): string =>
  `the Journal goes back and forth between two states, as when two laptops have the same key; ${separately(uid.slice(0, 12))}; "backup snapshots" and "backup restore --at" give what each of them sent, "backup release" ends this flag`

/** Sees to it that what a session brought gets into a snapshot, now or later. */
export class Keeper {
  readonly #parts: Parts
  readonly #pending = new Map<string, Promise<unknown>>()
  /** Snapshots since the last pruning. */
  readonly #fresh = new Map<string, number>()
  #swept = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Takes the snapshot that is due. The caller has the learner's turn.
   * @param transfer how the session ended that it is due after, where that is known still
   * @throws SugarError when it cannot be taken; it stays due
   */
  async keep(uid: string, transfer: Transfer = this.#transferOf(uid)): Promise<void> {
    const { ledger, log, marks } = this.#parts
    const isUnconfirmed = marks.get(uid) === 'old'
    let taken: Taken
    try {
      taken = await this.#take(uid, isUnconfirmed, transfer)
    } catch (error) {
      // The failed write may be of another learner's files, and the kernel reports it only once.
      if (diskFault(error) === 'failing') await marks.doubtAll()
      log.error({ err: error, uid }, `no snapshot of ${uid} could be taken: ${asError(error).message}`)
      await ledger.raise(uid, 'snapshot-failed', asError(error).message).catch(() => undefined)
      throw error
    }
    await (isUnconfirmed ? this.#noteUnconfirmed(uid, taken) : this.#note(uid, taken))
  }

  /**
   * Sees to a live tree that the machine's last end may have torn, as its mark says: files that may not have reached the
   * disk lose their times, so that the laptop sends them again, and the learner is flagged until then. The caller has
   * the learner's turn to write.
   */
  async recover(uid: string): Promise<void> {
    const { archivist, ledger, marks, log } = this.#parts
    if (!marks.isDoubtful(uid)) return
    const since = marks.unflushedSince(uid)
    const mark = marks.get(uid)
    if (since !== undefined) {
      const { files } = await archivist.run('distrust', { uid, since })
      const why = `the machine stopped, or its disk failed, before ${files} files of it were certain to be on the disk`
      if (files > 0) log.warn({ uid, files }, `the Journal of ${uid} must be sent again: ${why}`)
      if (files > 0 && mark !== undefined && mark !== 'aside') await ledger.raise(uid, 'unconfirmed', why)
    }
    await marks.flushed(uid, mark)
  }

  /** A session ended well and changed nothing: what the archive has is the laptop's Journal still. */
  async unchanged(uid: string): Promise<void> {
    await this.#parts.ledger.note(uid, () => ({ lastGood: new Date().toISOString() }))
    await this.#parts.ledger.lower(uid, 'unconfirmed')
  }

  /** Lets commands wait for work that laptops need not wait for. */
  follow(uid: string, work: Promise<unknown>): void {
    const all = Promise.allSettled([this.#pending.get(uid), work])
    this.#pending.set(uid, all)
    void all.then(() => {
      if (this.#pending.get(uid) === all) this.#pending.delete(uid)
    })
  }

  /** Waits until nothing is under way for a learner, or for anybody. */
  async settled(uid?: string): Promise<void> {
    await (uid === undefined ? Promise.all(this.#pending.values()) : this.#pending.get(uid))
  }

  /** Takes the snapshots that are due: those that a crash prevented, and those there was no room for. */
  catchUp(): void {
    const { marks, turns } = this.#parts
    for (const uid of marks.all()) {
      if (!(marks.isDue(uid) || marks.isDoubtful(uid)) || this.#pending.has(uid)) continue
      const work = async () => {
        const leave = await turns.take(uid, 'write', AbortSignal.timeout(600_000))
        try {
          await this.recover(uid)
          if (marks.isDue(uid)) await this.keep(uid)
        } finally {
          leave()
        }
      }
      // Why it failed is in the log, and on the learner's flags.
      this.follow(
        uid,
        work().catch(() => undefined),
      )
    }
  }

  /** One more try when the process that keeps the archive was killed: the machine may have run out of memory. */
  async #take(uid: string, unconfirmed: boolean, transfer: Transfer): Promise<Taken> {
    const { archivist } = this.#parts
    try {
      return await archivist.run('snapshot', { uid, unconfirmed, transfer })
    } catch (error) {
      if (!(error instanceof SugarError && error.code === 'UNAVAILABLE')) throw error
      return archivist.run('snapshot', { uid, unconfirmed, transfer })
    }
  }

  /** After a crash only the mark says how it was; the log of that session is gone. */
  #transferOf(uid: string): Transfer {
    return { code: this.#parts.marks.get(uid) === 'incomplete' ? 23 : 0 }
  }

  async #note(uid: string, { header, fresh, held, incomplete }: Taken): Promise<void> {
    const { ledger, marks, log, grew, tell } = this.#parts
    const { id, digest, entries, files, bytes, added } = header
    if (fresh) log.info({ uid, snapshot: id, entries, files, bytes, added }, `snapshot ${id} of ${uid}`)
    await this.#alarm(uid, id, held)
    if (incomplete === undefined) {
      await ledger.note(uid, () => ({
        lastGood: new Date().toISOString(),
        snapshot: id,
        digest,
      }))
      await ledger.lower(uid, 'incomplete')
    } else {
      log.warn({ uid, snapshot: id }, `the backup of ${uid} is incomplete: ${incomplete}`)
      // Without a digest the laptop is not told that its Journal is here.
      await ledger.note(uid, () => ({ digest: '' }))
      await ledger.raise(uid, 'incomplete', incomplete)
    }
    await this.#weigh(uid)
    // Not before: a crash in between must find that there is something left to do.
    await marks.taken(uid)
    await ledger.lower(uid, 'snapshot-failed', 'unconfirmed')
    if (fresh) this.#thin(uid)
    if (fresh) grew(added)
    if (incomplete === undefined) tell({ uid, snapshot: id, fresh, added: fresh ? added : 0 })
  }

  /** Until the laptop has come again it is neither a good backup, nor is the laptop told that all is here. */
  async #noteUnconfirmed(uid: string, { header, fresh, held }: Taken): Promise<void> {
    const { ledger, marks, log } = this.#parts
    const { id, digest, bytes, files, added } = header
    await this.#alarm(uid, id, held)
    if (!fresh && header.unconfirmed !== true && ledger.get(uid)?.digest === digest) {
      // The machine stopped behind the snapshot, and before its mark had gone from the disk.
      marks.clear(uid)
      await ledger.lower(uid, 'snapshot-failed', 'unconfirmed')
      return
    }
    const why = `snapshot ${id} was taken after the machine had stopped: it is certain when the laptop has backed up again`
    if (fresh) log.warn({ uid, snapshot: id, files, bytes, added }, why)
    await ledger.raise(uid, 'unconfirmed', why)
    await this.#weigh(uid)
    await marks.taken(uid)
    await ledger.lower(uid, 'snapshot-failed')
  }

  /** Raises the flag for what the brake holds, also after a crash that kept anybody from hearing of it; or lowers it. */
  async #alarm(uid: string, id: string, held: Taken['held']): Promise<void> {
    const { archivist, ledger, log } = this.#parts
    if (held !== undefined) {
      const { kind, before, removed, rewritten } = held.upheaval
      const sharing = held.inTurns === true ? inTurns(uid) : await this.#parts.sharing?.(uid)
      const told = sharing === undefined ? '' : `; ${sharing}`
      const why = `${removed} of ${before} ${kind} were gone and ${rewritten} rewritten; ${held.id} is on hold${told}`
      log.warn({ uid, snapshot: id, held: held.id }, `most of the Journal of ${uid} changed: ${why}`)
      await ledger.raise(uid, 'mass-change', why)
      if (held.inTurns === true) await ledger.raise(uid, 'shared-key', inTurns(uid))
      return
    }
    const isFlagged = ledger.get(uid)?.flags.some(({ flag }) => flag === 'mass-change') === true
    const [holding] = await archivist.run('holdings', { uids: [uid] })
    const braked = holding?.braked.at(-1)
    if (braked !== undefined && !isFlagged) await ledger.raise(uid, 'mass-change', `${braked} is on hold`)
    if (braked !== undefined || !isFlagged) return
    log.info({ uid, snapshot: id }, `the Journal of ${uid} has again what it had lost`)
    await ledger.lower(uid, 'mass-change')
  }

  /** A laptop that backs up every minute must not fill the archive before the daily pruning comes. */
  #thin(uid: string): void {
    const count = (this.#fresh.get(uid) ?? 0) + 1
    this.#fresh.set(uid, count % mostFresh)
    if (count < mostFresh) return
    const { archivist, rules } = this.#parts
    this.follow(
      uid,
      archivist.run('prune', { rules, uids: [uid], dryRun: false }).catch(() => undefined),
    )
  }

  /**
   * Counts what a learner takes of the disk, and flags it where that is near the quota or above. Where the history makes
   * it too much, the oldest of that goes.
   */
  async #weigh(uid: string): Promise<void> {
    const { archivist, ledger, live, log, quota } = this.#parts
    const logs = await sizeOf(join(live(uid), 'power-logs'))
    const all = await sizeOf(live(uid))
    const limit = quota > 0 && all.bytes <= quota ? quota - all.bytes : undefined
    const { bytes: history, removed } = await archivist.run('history', { uid, limit })
    if (removed.length > 0) {
      log.warn(
        { uid, removed },
        `removed the ${removed.length} oldest snapshots of ${uid}: the quota is used up`,
      )
      this.#sweepSoon(uid)
    }
    await ledger.note(uid, () => ({
      bytes: all.bytes - logs.bytes,
      files: all.files - logs.files,
      logs: logs.bytes,
      history,
    }))
    const bytes = all.bytes + history
    const share = quota === 0 ? 0 : bytes / quota
    const why = `${Math.round(bytes / 1e6)} of ${Math.round(quota / 1e6)} MB`
    if (share > 1) await ledger.raise(uid, 'over-quota', why)
    else await ledger.lower(uid, 'over-quota')
    if (share > near && share <= 1) await ledger.raise(uid, 'near-quota', why)
    else await ledger.lower(uid, 'near-quota')
  }

  /** What removed snapshots needed is on the disk until a sweep: a laptop must not fill it in one day by that. */
  #sweepSoon(uid: string): void {
    if (Date.now() - this.#swept < betweenSweeps) return
    this.#swept = Date.now()
    this.follow(
      uid,
      this.#parts.archivist.run('sweep', {}).catch(() => undefined),
    )
  }
}
