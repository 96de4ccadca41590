import { execFile } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Logger, printable } from '../../../core/api.js'
import type { Asked } from '../public.js'

/** Characters of a line that are kept. */
const longest = 1024
/** Lines for one client: there is one for each name that it asks for in vain, and it may ask for millions. */
const most = 100
/** Milliseconds in which as many are kept without a number: a client may have rsync say things so. */
const hour = 3_600_000
const form = /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[(\d{1,10})\] (.*)$/
const request = /^rsync on (.*?)(?: from \S+ \([^ ()]*\))?$/
/** What the shell under a fakeroot says before it becomes the rsync there: see `startChild`. */
const deputy = /^(\d{1,10}) works for (\d{1,10})$/
const summary = /^sent ([\d,]{1,30}) bytes {2}received /
/** What rsync says of each connection, and we say better ourselves. */
const daily = /^(?:connect from|rsync on|building file list|sent \d|send )/

/** For whom an rsync works. */
export interface Guest {
  readonly address: string
  /** Unknown until it is asked for. */
  module?: string
  /** Bytes, as rsync has counted them at the end. */
  sent?: number
  /** Lines that the log has of it. */
  lines?: number
  /** Whether it is known what it asks for. */
  hasAsked?: boolean
}

/**
 * Hears what all rsyncs have to say for the log, and says in ours for whom they work. It is a named pipe, since rsync
 * opens its log file by a path, and a path leads to no socket, which node's own pipes are.
 */
export class Hearing {
  /** For the standard error of an rsync. */
  readonly fd: number
  readonly #log: Logger
  readonly #asked: (event: Asked) => void
  readonly #socket: Socket
  readonly #guests = new Map<number, Guest>()
  #begun = ''
  #unknown = { lines: 0, since: performance.now() }

  /**
   * @param folder of our own
   * @param asked is told what a client asks for, once for each connection
   */
  static async open(folder: string, log: Logger, asked: (event: Asked) => void): Promise<Hearing> {
    const path = join(folder, 'log')
    await promisify(execFile)('mkfifo', ['-m', '600', path], { timeout: 10_000 })
    // Open to write too, it never ends; and no start of an rsync waits for somebody who listens.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    return new Hearing(fd, openSync(path, constants.O_RDWR), log, asked)
  }

  private constructor(own: number, fd: number, log: Logger, asked: (event: Asked) => void) {
    this.fd = fd
    this.#log = log
    this.#asked = asked
    this.#socket = new Socket({ fd: own, readable: true, writable: false })
    this.#socket.on('error', (error) => log.error({ err: error }, 'rsync is no longer heard'))
    this.#socket.setEncoding('latin1').on('data', (text: string) => this.#hear(text))
  }

  /** @returns a function that forgets it */
  introduce(pid: number, guest: Guest): () => void {
    this.#guests.set(pid, guest)
    return () => {
      for (const [known, one] of this.#guests) if (one === guest) this.#guests.delete(known)
    }
  }

  close(): void {
    this.#socket.destroy()
    closeSync(this.fd)
  }

  #hear(text: string): void {
    const lines = (this.#begun + text).split('\n')
    this.#begun = (lines.pop() ?? '').slice(0, longest)
    for (const line of lines) this.#tell(line)
  }

  #tell(line: string): void {
    const [, inner, outer] = deputy.exec(line) ?? []
    if (inner !== undefined) {
      this.#acquaint(Number(inner), Number(outer))
      return
    }
    const [, pid, words = line] = form.exec(line) ?? []
    if (words === '') return
    const guest = this.#guests.get(Number(pid))
    if (guest !== undefined) this.#note(guest, words)
    const { address, module } = guest ?? {}
    const text = `rsync says: ${printable(words.slice(0, longest))}`
    if (daily.test(words)) {
      this.#log.debug({ address, module }, text)
      return
    }
    const count = guest ?? this.#nobody()
    const { lines = 0 } = count
    if (lines > most) return
    count.lines = lines + 1
    this.#log.info({ address, module }, lines < most ? text : 'rsync says more, which is not kept')
  }

  /** Stands for those whom nothing is known of. */
  #nobody(): { lines: number } {
    const now = performance.now()
    if (now - this.#unknown.since > hour) this.#unknown = { lines: 0, since: now }
    return this.#unknown
  }

  #acquaint(inner: number, outer: number): void {
    const guest = this.#guests.get(outer)
    if (guest !== undefined) this.#guests.set(inner, guest)
  }

  #note(guest: Guest, words: string): void {
    const sent = summary.exec(words)?.[1]
    if (sent !== undefined) guest.sent = Number(sent.replaceAll(',', ''))
    const paths = request.exec(words)?.[1]
    const { address, module } = guest
    if (paths === undefined || module === undefined || guest.hasAsked) return
    guest.hasAsked = true
    this.#asked({ module, paths: paths.slice(0, longest), address, at: new Date().toISOString() })
  }
}
