import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { bootId, fsyncDir, makeFolderSync, systemCode } from '../../../core/api.js'

/**
 * - aside: the documents may have changed since the last snapshot; the Journal has not
 * - dirty: a session may have changed the Journal
 * - whole: the last one on the Journal ended well, and is on the disk; a snapshot is due
 * - incomplete: the last one on the Journal left something out, and is over; a snapshot is due
 * - old: whole, before the machine was started again: a snapshot is due, and what it is taken of is dirty
 */
export type Mark = 'aside' | 'dirty' | 'whole' | 'incomplete' | 'old'

/** Those by which a snapshot is due. */
const dueMarks: ReadonlySet<Mark> = new Set(['whole', 'incomplete', 'old'])

/** What a session writes, of what snapshots are taken of: `logs` is nothing of it. */
export type Written = 'logs' | 'aside' | 'dirty'

type Kind = Written | Mark

/** A note as it is on the disk: `KIND BOOT SINCE`, of one length, so that it is changed in place. */
interface Note {
  readonly kind: Kind
  /** The start of the machine in which it was written. */
  readonly boot: string
  /** Seconds since 1970: what was written from then on may not be on the disk. undefined: all is; 0: nothing is known. */
  readonly since: number | undefined
}

/** Less than a sector of any disk: it is there whole, as it was or as it is now. */
const length = 96
/** Seconds: the kernel stamps files with a clock that is some milliseconds behind. */
const behind = 1
/** The mark of one whose flush failed: neither is what the kernel has in memory the disk's. */
const failed = 'flush-failed'

const kinds = new Set<string>(['logs', 'aside', 'dirty', 'incomplete', 'whole', 'old'] satisfies Kind[])
/** The later one says more. */
const ranks: readonly Kind[] = ['logs', 'aside', 'dirty', 'incomplete', 'whole', 'old']

/**
 * Notes beside the live trees, by which a start after a crash knows what was under way: what snapshots are due, and
 * what of a live tree may not have reached the disk when the power went.
 */
export class Marks {
  readonly #folder: string
  readonly #boot: string

  /** @param make whether its folder is made now; otherwise prepare() does, once the archive is there */
  constructor(root: string, { boot = bootId(), make = true }: { boot?: string; make?: boolean } = {}) {
    this.#folder = join(root, 'marks')
    this.#boot = boot
    if (make) this.prepare()
  }

  prepare(): void {
    makeFolderSync(this.#folder)
  }

  /** undefined: the live tree is as the last snapshot has it. */
  get(uid: string): Mark | undefined {
    const note = this.#read(uid)
    if (note === undefined) return undefined
    const { kind, boot, since } = note
    // Where it is unknown what was written, the Journal may have been.
    if (kind === 'logs') return boot !== this.#boot && since === 0 ? 'dirty' : undefined
    if (boot === this.#boot) return kind
    // The snapshot may have been due for days, for want of room, and the laptop may be gone: keep this work.
    if (kind === 'whole' || kind === 'incomplete' || kind === 'old') return 'old'
    return kind === 'aside' && since === undefined ? 'aside' : 'dirty'
  }

  /** Whether a snapshot must be taken before anybody writes there. */
  isDue(uid: string): boolean {
    const mark = this.get(uid)
    return mark !== undefined && dueMarks.has(mark)
  }

  /** Whether the machine was started again since, or a flush failed: what was not flushed may not be there. */
  isDoubtful(uid: string): boolean {
    const note = this.#read(uid)
    return note !== undefined && note.boot !== this.#boot
  }

  /** What of a live tree may not be on the disk: what was written from this time on, seconds since 1970. */
  unflushedSince(uid: string): number | undefined {
    return this.#read(uid)?.since
  }

  /**
   * Notes that a session is about to write. It is on the disk when this resolves: call it before the first byte.
   * Where nothing new is to be noted, nothing is written.
   * @throws Error with the system's code
   */
  async begin(uid: string, written: Written): Promise<void> {
    const note = this.#read(uid)
    const kind = note === undefined || rank(note.kind) < rank(written) ? written : note.kind
    if (note?.since !== undefined && note.kind === kind) return
    const since = note?.since ?? Math.floor(Date.now() / 1000) - behind
    await this.#write(uid, { kind, boot: note?.boot ?? this.#boot, since }, 'on the disk')
  }

  /**
   * Notes that all of a live tree was flushed. It is on the disk when this resolves, where that matters: a snapshot that
   * is due must be known after a power cut.
   * @param mark what there is to be done with it; undefined: nothing
   * @throws Error with the system's code
   */
  async flushed(uid: string, mark: Mark | undefined): Promise<void> {
    if (mark === undefined) return this.clear(uid)
    const note = { kind: mark, boot: this.#boot, since: undefined }
    await this.#write(uid, note, dueMarks.has(mark) ? 'on the disk' : 'in time')
  }

  /** The snapshot that was due is taken. */
  async taken(uid: string): Promise<void> {
    if (this.get(uid) === 'old') await this.flushed(uid, 'dirty')
    else this.clear(uid)
  }

  /** A flush failed: of what was not flushed by then, nothing is believed any more. */
  async doubtAll(): Promise<void> {
    for (const uid of this.unflushed()) {
      const note = this.#read(uid)
      if (note?.since !== undefined) await this.#write(uid, { ...note, boot: failed }, 'in time')
    }
  }

  clear(uid: string): void {
    rmSync(join(this.#folder, uid), { force: true })
  }

  /** Everyone with a mark. */
  all(): string[] {
    if (!existsSync(this.#folder)) return []
    return readdirSync(this.#folder).filter((name) => !name.endsWith('.new'))
  }

  /** Those of whose trees something was written in this run of the machine and not flushed. */
  unflushed(): string[] {
    return this.all().filter((uid) => !this.isDoubtful(uid) && this.unflushedSince(uid) !== undefined)
  }

  #read(uid: string): Note | undefined {
    try {
      return parse(readFileSync(join(this.#folder, uid), 'latin1'))
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** In place, which needs no room on a full disk, and no more than one flush. */
  async #write(uid: string, { kind, boot, since }: Note, until: 'on the disk' | 'in time'): Promise<void> {
    const path = join(this.#folder, uid)
    const text = `${`${kind} ${boot} ${since ?? '-'}`.padEnd(length - 1)}\n`
    const there = await open(path, 'r+').catch(unlessMissing)
    const file = there ?? (await open(path, 'wx', 0o600))
    try {
      await file.write(text, 0, 'latin1')
      if (until === 'on the disk') await (there === undefined ? file.sync() : file.datasync())
    } finally {
      await file.close()
    }
    if (there === undefined && until === 'on the disk') await fsyncDir(this.#folder)
  }
}

/** What cannot be read says that something was written, and not since when. */
function parse(text: string): Note {
  const [kind = '', boot = '', since = ''] = text.split(/\s+/)
  if (!kinds.has(kind)) return { kind: 'dirty', boot: '', since: 0 }
  const known = /^\d{1,12}$/.test(since) ? Number(since) : 0
  return { kind: kind as Kind, boot, since: since === '-' ? undefined : known }
}

const rank = (kind: Kind): number => ranks.indexOf(kind)

function unlessMissing(error: unknown): FileHandle | undefined {
  if (systemCode(error) !== 'ENOENT') throw error
  return undefined
}
