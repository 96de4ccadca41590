import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { printable, RequestError } from '../../../core/api.js'
import { type Ended, runRsync } from './rsync.js'
import type { Patience, Site } from './source.js'

const minute = 60_000
export const longestListing = 2 * minute
const longestPull = 12 * 60 * minute
/** Milliseconds between two looks at the room that is left. */
const look = 5_000

/** Bytes of a disk that a file takes at least, so to speak. */
const block = 4096

/** What counts as getting on: a source that breaks off each time, but later, is not given up. */
const worthwhile = 1 << 20

/** Exit codes of rsync after which another try may go better: lines that broke, files that went meanwhile, timeouts. */
const passing = new Set([10, 11, 12, 20, 23, 24, 30, 35])

/** The arguments of every run: seconds, and numbers without marks. @param idle milliseconds without a byte */
export function settings(idle: number): string[] {
  const seconds = Math.max(1, Math.ceil(idle / 1000))
  return [`--contimeout=${seconds}`, `--timeout=${seconds}`, '--no-h']
}

/** How an rsync failed that talked to a server, in words. @param said what it said on standard error */
export function failed(server: string, said: string): RequestError {
  const refusal = /is configured to refuse [^\r\n]{1,100}/.exec(said)?.[0]
  if (refusal !== undefined) return new RequestError('REFUSED', `${server} ${printable(refusal)}`)
  if (/ xattr [^\r\n]*Operation not supported/.test(said))
    return new RequestError(
      'REFUSED',
      `${server} sends files, and the disk of rsync-root keeps no attributes of them`,
    )
  if (/No space left on device|Disk quota exceeded/.test(said))
    return new RequestError('NO_SPACE', 'the disk of the server is full')
  // What the other server says is for people; the rest is rsync's own.
  const words = /@ERROR: ([^\r\n]{1,500})/.exec(said)?.[1]
  const fault = said.split(/[\r\n]+/).find((line) => line !== '') ?? 'rsync does not say why'
  const what = words === undefined ? `cannot be read: ${fault.slice(0, 300)}` : `says: ${words}`
  return new RequestError('UNAVAILABLE', `${server} ${printable(what)}`)
}

/** How files are known that are here already: by size and time, or by what is in them. */
type Compare = 'times' | 'sums'

/** Fetches a build from another school server, over as many connections as it takes. */
export class Pull {
  readonly #server: string
  readonly #site: Site
  readonly #to: string
  readonly #patience: Patience
  /** Bytes of all files. */
  #total = 0
  /** Of these, here. */
  #here = 0

  /** @param to what is in it already is gone on with */
  constructor(server: string, site: Site, to: string, patience: Patience) {
    this.#server = server
    this.#site = site
    this.#to = to
    this.#patience = patience
  }

  /** @throws RequestError: what has come may be gone on with when it passes */
  async run(): Promise<void> {
    const begun = (await readdir(this.#to)).length > 0
    await this.#measure()
    const breaks = await this.#persist('times')
    // After a power cut files may have their sizes and times, and other bytes; and the build may be another one by now.
    if (begun || breaks > 0) await this.#persist('sums')
  }

  /** Makes room for what is to come. */
  async #measure(): Promise<void> {
    const { signal } = this.#site
    const { code, out, said } = await runRsync(['-n', '--stats', ...this.#arguments('times')], {
      signal,
      longest: longestListing * 5,
    })
    if (code !== 0) throw failed(this.#server, said)
    const number = (what: string) => Number(new RegExp(`^${what}: ([0-9]{1,15})`, 'm').exec(out)?.[1] ?? 0)
    this.#total = number('Total file size')
    this.#here = Math.max(0, this.#total - number('Total transferred file size'))
    this.#site.progress(this.#here, this.#total)
    await this.#site.makeRoom(0, this.#total + number('Number of files') * block, this.#here)
  }

  /** @returns how often it broke off */
  async #persist(compare: Compare): Promise<number> {
    const { pauses } = this.#patience
    for (let breaks = 0, tries = 0; ; breaks += 1) {
      const before = this.#here
      const { code, said } = await this.#once(compare)
      if (code === 0) return breaks
      const error = failed(this.#server, said)
      if (this.#here >= before + worthwhile) tries = 0
      const pause = pauses[tries]
      if (pause === undefined || !passing.has(code) || error.code !== 'UNAVAILABLE') throw error
      tries += 1
      await sleep(pause, undefined, { signal: this.#site.signal })
    }
  }

  async #once(compare: Compare): Promise<Ended> {
    const { signal, name, spare } = this.#site
    const stop = new AbortController()
    const halt = () => stop.abort(signal.reason)
    signal.addEventListener('abort', halt, { once: true })
    const watch = setInterval(async () => {
      const left = await spare().catch(() => 1)
      if (left <= 0)
        stop.abort(new RequestError('NO_SPACE', `build-${name} is larger than what fits on the disk`))
    }, look)
    const before = this.#here
    try {
      signal.throwIfAborted()
      return await runRsync(['--info=progress2', ...this.#arguments(compare)], {
        signal: stop.signal,
        longest: longestPull,
        heard: (text) => {
          const bytes = /([0-9]{1,15}) +[0-9]{1,3}%[^%]*$/.exec(text)?.[1]
          // What is compared may come once more.
          if (bytes === undefined || compare === 'sums') return
          this.#here = Math.min(this.#total, before + Number(bytes))
          this.#site.progress(this.#here, this.#total)
        },
      })
    } finally {
      clearInterval(watch)
      signal.removeEventListener('abort', halt)
    }
  }

  /**
   * `fake super` keeps owners, devices and modes in attributes, as the tree is served again. What is neither manifest nor
   * tree goes: an rsync that was killed leaves files of its own.
   */
  #arguments(compare: Compare): string[] {
    const { idle } = this.#patience
    return [
      // The other server reads all its files before it says a word.
      ...settings(compare === 'sums' ? idle * 10 : idle),
      ...(compare === 'sums' ? ['--checksum'] : []),
      // Unbuffered: when this server is killed, rsync sees at its next word that nobody listens, and writes no more.
      // A list for each directory would take 400 KB of address space.
      '--no-inc-recursive',
      ...['-aH', '--numeric-ids', '--fake-super', '--partial', '--outbuf=N'],
      ...['--delete', '--delete-excluded'],
      ...['--include=/contents', '--include=/root/', '--include=/root/**', '--exclude=*'],
      `${this.#server}build-${this.#site.name}/`,
      `${this.#to}/`,
    ]
  }
}
