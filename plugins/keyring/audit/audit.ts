import { constants, fstatSync, statSync, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fsyncDir, makeFolderSync, RequestError } from '../../../core/api.js'
import { unwritten } from '../durable.js'
import { type AuditVerdict, Check, headLost } from './check.js'
import { findEnding } from './ending.js'
import { Head, type HeadNote } from './head.js'
import { type AuditEntry, type AuditLine, formatLine, isSignature, newestWith, parseLine } from './line.js'
import { linesOf } from './lines.js'

export type { AuditVerdict } from './check.js'
export type { AuditEntry, AuditLine } from './line.js'

/** Milliseconds. */
const busy = 20
const gathering = 3

interface Waiting {
  readonly entry: AuditEntry
  /** ISO 8601. */
  readonly at: string
  resolve(): void
  reject(error: unknown): void
}

/** What a start finds, once it is mended. */
interface Opened {
  readonly end: HeadNote
  readonly isHeadLost: boolean
  readonly repairs: readonly string[]
}

/**
 * What was signed, and what was done to the keys: a file of JSON lines that is only ever added to. Each line holds the
 * hash of the one before, and a note beside the file says where it ends, so that a line that was removed, changed or
 * moved, or an end that was cut off, is found. Whoever can write the directory can forge the whole of it: a chain does
 * not replace a copy that is kept elsewhere.
 */
export class Audit {
  /** What was mended when it was opened, a sentence each. */
  readonly repairs: readonly string[]
  readonly #path: string
  readonly #head: Head
  readonly #now: () => Date
  #file: FileHandle
  /** Where the chain ends, and how long the file was then. */
  #end: HeadNote
  /** Whether the note was missing, which the next line says. */
  #isHeadLost: boolean
  /** Whether a write failed, and part of it may lie behind the end. */
  #isDirty = false
  #isClosed = false
  #waiting: Waiting[] = []
  /** `performance.now()` */
  #writtenAt = Number.NEGATIVE_INFINITY
  #writing: Promise<void> | undefined

  private constructor(files: { path: string; file: FileHandle; head: Head }, found: Opened, now: () => Date) {
    this.#path = files.path
    this.#file = files.file
    this.#head = files.head
    this.#end = found.end
    this.#isHeadLost = found.isHeadLost
    this.repairs = found.repairs
    this.#now = now
  }

  /**
   * @param folder `ROOT/keyring/audit`; made if need be
   * @param more.isBegun whether something was noted here before, which there are other traces of
   * @throws SystemError NO_SPACE, NOT_WRITABLE
   */
  static async open(
    folder: string,
    { now = () => new Date(), isBegun = false }: { now?: () => Date; isBegun?: boolean } = {},
  ): Promise<Audit> {
    makeFolderSync(folder)
    const path = join(folder, 'log')
    const opened: FileHandle[] = []
    try {
      const file = await openLog(path)
      opened.push(file)
      const { head, note } = await Head.open(join(folder, 'head'))
      opened.push(head.file)
      const found = await mend(path, file, { note, isBegun })
      const writing = found.isHeadLost ? undefined : head.write(found.end)
      // The first one must be there. A later one may be behind, where the disk has no room for what is changed in place.
      await (note === undefined ? writing : writing?.catch(() => undefined))
      return new Audit({ path, file, head }, found, now)
    } catch (error) {
      for (const file of opened) await file.close()
      throw unwritten(path, error)
    }
  }

  /**
   * Adds a line. Those that come together go to the disk together.
   * @returns when it is on the disk
   * @throws SystemError NO_SPACE, NOT_WRITABLE: it is not kept then, and one that comes later may be
   */
  append(entry: AuditEntry): Promise<void> {
    if (this.#isClosed) return Promise.reject(new RequestError('UNAVAILABLE', 'the audit log is closed'))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, at: this.#now().toISOString(), resolve, reject })
      this.#writing ??= this.#drain()
    })
  }

  /** When the newest signature was made since the clock was last vouched for, ISO 8601. */
  newest(): string | undefined {
    return this.#end.newest === '' ? undefined : this.#end.newest
  }

  /** Looks at every line. */
  async check(): Promise<AuditVerdict> {
    const end = this.#end
    // What others wrote behind the end is looked at too, where it cannot be a write of our own.
    const isQuiet = this.#writing === undefined && !this.#isDirty
    const size = sizeOf(this.#path)
    const check = new Check()
    for await (const { text, ended } of linesOf(this.#path, 0, isQuiet ? size : Math.min(size, end.size)))
      if (!check.take(ended ? text : undefined)) break
    return check.verdict(this.#isHeadLost ? undefined : end)
  }

  /** The newest lines, oldest first; what is no line any more is left out. @param count at most 10,000 */
  async last(count: number): Promise<readonly AuditLine[]> {
    const { size } = this.#end
    for (let back = count * 512; ; back *= 2) {
      const from = Math.max(0, size - back)
      const found: AuditLine[] = []
      for await (const { text } of linesOf(this.#path, from, Math.min(size, sizeOf(this.#path)))) {
        const line = text === undefined ? undefined : parseLine(text)
        if (line !== undefined) found.push(line)
      }
      if (found.length >= count || from === 0) return found.slice(-count)
    }
  }

  /** The first signature that a key made. @param key its id */
  async firstSigned(key: string): Promise<AuditLine | undefined> {
    for await (const { text } of linesOf(this.#path, 0, Math.min(this.#end.size, sizeOf(this.#path)))) {
      const line = text?.includes(key) === true ? parseLine(text) : undefined
      if (line?.key === key && isSignature(line)) return line
    }
    return undefined
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    while (this.#writing !== undefined) await this.#writing
    await this.#file.close()
    await this.#head.close()
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#gather()
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#write(batch)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        const told = unwritten(this.#path, error)
        for (const { reject } of batch) reject(told)
        continue
      }
      // Behind the lines it speaks of. Should it fail, it is behind until the next.
      await this.#head.write(this.#end).catch(() => undefined)
    }
    this.#writing = undefined
  }

  /**
   * Waits for lines that come together: a turn of the event loop, or, when the last ones went to the disk a moment ago,
   * a few milliseconds. A flush costs about as much for one line as for many.
   */
  async #gather(): Promise<void> {
    const isBusy = performance.now() - this.#writtenAt < busy
    await new Promise<void>((resolve) => (isBusy ? setTimeout(resolve, gathering) : setImmediate(resolve)))
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    await this.#prepare()
    let { n, hash, newest } = this.#end
    const texts: string[] = []
    const add = (entry: AuditEntry, at: string) => {
      const made = formatLine(entry, at, { n, hash })
      texts.push(made.text)
      n = made.link.n
      hash = made.link.hash
      newest = newestWith(newest, { what: entry.what, at })
    }
    if (this.#isHeadLost) add({ by: 'keyring', what: headLost, key: '' }, this.#now().toISOString())
    for (const { entry, at } of batch) add(entry, at)
    const bytes = Buffer.from(`${texts.join('\n')}\n`)
    this.#isDirty = true
    // Near a full disk a write takes a part, and only the next one fails. Writing is quick, until it is to be on the disk.
    for (let written = 0; written < bytes.length; )
      written += writeSync(this.#file.fd, bytes, written, bytes.length - written)
    await this.#file.datasync()
    this.#writtenAt = performance.now()
    this.#isDirty = false
    this.#isHeadLost = false
    this.#end = { n, hash, newest, size: this.#end.size + bytes.length }
  }

  /** Cuts off what a failed write left, and takes up a file that somebody put in the place of ours. */
  async #prepare(): Promise<void> {
    const there = statSync(this.#path, { throwIfNoEntry: false })
    const own = fstatSync(this.#file.fd)
    if (there === undefined || there.ino !== own.ino || there.dev !== own.dev) {
      const file = await openLog(this.#path)
      await this.#file.close().catch(() => undefined)
      this.#file = file
      this.#isDirty = false
      this.#end = { ...this.#end, size: (await file.stat()).size }
    } else if (this.#isDirty) {
      if (own.size > this.#end.size) await this.#file.truncate(this.#end.size)
      await this.#file.sync()
      this.#isDirty = false
    } else if (own.size !== this.#end.size) this.#end = { ...this.#end, size: own.size }
  }
}

async function openLog(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW
  const file = await open(path, flags, 0o600)
  if ((await file.stat()).size === 0) await fsyncDir(dirname(path))
  return file
}

/** Finds the end of the log, and mends what a crash left there. */
async function mend(
  path: string,
  file: FileHandle,
  { note, isBegun }: { note: HeadNote | undefined; isBegun: boolean },
): Promise<Opened> {
  const { link, newest, torn } = await findEnding(path, (await file.stat()).size, note)
  const repairs: string[] = []
  if (torn?.wasTold === true) {
    await file.write('\n')
    repairs.push('the last line of the audit log had lost its end, and has it again')
  } else if (torn !== undefined) {
    await file.truncate(torn.from)
    repairs.push(
      torn.what === 'line'
        ? 'the last line of the audit log was half written, and was cut off: nobody was told of it'
        : 'a power cut tore the end of the audit log: lines that were not acknowledged were cut off',
    )
  }
  // What a killed server wrote may not be on the disk yet.
  await file.sync()
  const end = { ...link, newest, size: (await file.stat()).size }
  const isGone = end.size === 0 && isBegun
  const isHeadLost = note === undefined && (end.size > 0 || isGone)
  if (isHeadLost)
    repairs.push(
      isGone
        ? 'the audit log is gone, and the note of where it ended with it: nobody knows what was signed'
        : 'the note of where the audit log ends was lost: lines may be missing there',
    )
  return { end, isHeadLost, repairs }
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0
