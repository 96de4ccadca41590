import { type Logger, RequestError, SugarError } from '../../../core/api.js'
import type { Build, Builds } from '../../rsync/public.js'
import { failingDisk, fullDisk } from '../full-disk.js'
import type { Collector } from '../lru/collector.js'
import type { Form, Room } from '../lru/room.js'
import type { Uses } from '../lru/uses.js'
import { passes } from '../sources/fault.js'
import type { Offer, Site, Source } from '../sources/source.js'
import { Contacts } from './contacts.js'
import type { Downloads } from './downloads.js'
import { errorOf, type Failure, Failures } from './failures.js'
import { Fetch } from './fetch.js'
import { Gate } from './gate.js'

/** Builds that are read and unpacked at a time. */
const readAtOnce = 2
/** Questions to sources at a time. */
const askedAtOnce = 4
/** Milliseconds that a build may take; what has come of it by then is gone on with when it is asked for again. */
const longest = 24 * 3_600_000
/** Builds that are looked for, read or wait for their turn. */
const most = 100
/** Of these, looked for because one address asked; a class behind one router is one address. */
const mostOfOne = 8

export interface FetchesParts {
  readonly sources: readonly Source[]
  readonly builds: Builds
  readonly collector: Collector
  readonly room: Room
  readonly uses: Uses
  readonly downloads: Downloads
  readonly log: Logger
}

/** Nobody has it. */
class Nowhere extends RequestError {}

/** Builds that are being fetched: one fetch for each name, however many ask. */
export class Fetches {
  readonly failures = new Failures()
  readonly contacts: Contacts
  readonly #parts: FetchesParts
  readonly #fetches = new Map<string, Fetch>()
  readonly #tasks = new Set<Promise<void>>()
  readonly #asking = new Gate(askedAtOnce)
  readonly #reading = new Gate(readAtOnce)
  readonly #stop = new AbortController()

  constructor(parts: FetchesParts) {
    this.#parts = parts
    this.contacts = new Contacts(parts.log)
  }

  get(name: string): Fetch | undefined {
    return this.#fetches.get(name)
  }

  all(): Fetch[] {
    return [...this.#fetches.values()]
  }

  /**
   * The fetch of a build, which is begun if it is not under way.
   * @param asker the network address that asks for it
   * @throws RequestError when it has just failed, or cannot be begun
   */
  want(name: string, asker?: string): Fetch {
    const under = this.#fetches.get(name)
    if (under !== undefined) return under
    if (this.#stop.signal.aborted) throw stopping()
    this.#checkAlike(name)
    const failure = this.failures.get(name)
    if (failure !== undefined) throw errorOf(failure)
    if (this.#fetches.size >= most) {
      throw new RequestError(
        'TOO_MANY',
        `${most} other builds are being fetched; try again in about 10 minutes`,
      )
    }
    this.#checkAsker(name, asker)
    const fetch = new Fetch(name, asker)
    this.#fetches.set(name, fetch)
    const task = this.#run(fetch).finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
    return fetch
  }

  /** What could not be fetched, and is not here by another way either. The newest last. */
  failed(): Failure[] {
    return this.failures.all().filter(({ name }) => this.#parts.builds.get(name) === undefined)
  }

  /** @throws RequestError when rsync takes its name for that of a build that is here or comes: it could not be served */
  #checkAlike(name: string): void {
    const others = [...this.#parts.builds.list(), ...this.#fetches.values()].map((one) => one.name)
    const other = others.find((one) => one.toLowerCase() === name.toLowerCase())
    if (other === undefined || other === name) return
    throw new RequestError('REFUSED', `build-${name} is not here, and there is build-${other}`, {
      hint: `ask for build-${other}: names that differ in capital letters alone are one`,
    })
  }

  /** @throws RequestError when names that an address made up would keep the sources from others */
  #checkAsker(name: string, asker: string | undefined): void {
    if (asker === undefined) return
    const own = this.all().filter((one) => one.asker === asker && one.stage === 'looking')
    if (own.length < mostOfOne) return
    throw new RequestError(
      'TOO_MANY',
      `build-${name} must wait: ${own.length} others are being looked for already that this address asked for; try again in about 1 minute`,
    )
  }

  /** Ends what is under way; what has come of it stays for the next start. */
  async close(): Promise<void> {
    this.#stop.abort(stopping())
    await Promise.all(this.#tasks)
  }

  /** Never rejects: whoever waits hears how it ended. */
  async #run(fetch: Fetch): Promise<void> {
    const { name } = fetch
    try {
      const build = await this.#fetch(fetch)
      await this.#note(build, fetch.source)
      await this.#discard(name)
      this.#end(fetch, { build })
    } catch (thrown) {
      this.#end(fetch, { error: await this.#fail(name, thrown) })
      return
    }
    await this.#collect()
  }

  /** The build is there already: what goes wrong here takes it from nobody. */
  async #note(build: Build, source: string): Promise<void> {
    const { uses, log } = this.#parts
    const { name, bytes } = build
    log.info({ build: name, source, bytes }, `fetched build-${name}`)
    try {
      await uses.installed(build, source)
    } catch (err) {
      log.error({ err, build: name }, `it is not noted on the disk that build-${name} has come`)
    }
  }

  /** It may be larger than was thought. Whoever waits for it need not wait for that. */
  async #collect(): Promise<void> {
    try {
      await this.#parts.collector.collect()
    } catch (err) {
      this.#parts.log.error({ err }, 'builds that are beyond the limit cannot be removed')
    }
  }

  #end(fetch: Fetch, end: NonNullable<Fetch['end']>): void {
    this.#fetches.delete(fetch.name)
    fetch.finish(end)
  }

  /** Notes a failure. @returns what whoever waits is told */
  async #fail(name: string, thrown: unknown): Promise<RequestError> {
    if (this.#stop.signal.aborted) return stopping()
    const { code, message } = thrown instanceof RequestError ? thrown : ours()
    const why = thrown instanceof Nowhere ? message : `could not be fetched: ${message}`
    const err = thrown instanceof RequestError ? undefined : thrown
    this.#parts.log.warn({ build: name, err }, `build-${name} ${why}`)
    // What broke off goes on the next time, and soon; room is not there any sooner for it.
    const isPart = await this.#parts.downloads.has(name).catch(() => false)
    if (!isPart) await this.#discard(name)
    return errorOf(this.failures.note(name, { why, code, isPart: isPart && code === 'UNAVAILABLE' }))
  }

  /** Removes what has come of a build. What cannot be removed now goes with what nobody asks for any more. */
  async #discard(name: string, forms?: readonly Form[]): Promise<void> {
    try {
      await this.#parts.downloads.remove(name, forms)
    } catch (err) {
      this.#parts.log.error({ err, build: name }, `what has come of build-${name} cannot be removed`)
    }
  }

  /** Asks the sources in their order, and takes the build from the first that gives it. */
  async #fetch(fetch: Fetch): Promise<Build> {
    const { name } = fetch
    const { signal } = this.#stop
    const faults: RequestError[] = []
    for (const source of this.#parts.sources) {
      fetch.stage = 'looking'
      fetch.source = ''
      try {
        const offer = await this.#asking.run(() => {
          signal.throwIfAborted()
          return source.find(name, signal)
        })
        this.contacts.note(source)
        if (offer !== undefined) return await this.#bring(fetch, source, offer)
      } catch (thrown) {
        if (signal.aborted) throw thrown
        faults.push(await this.#faultOf(name, source, thrown))
      }
    }
    const [first] = faults
    if (first === undefined) throw new Nowhere('UNAVAILABLE', 'is not here, and at none of the sources')
    const { code } = faults.find(passes) ?? first
    throw new RequestError(code, faults.map(({ message }) => message).join('; '))
  }

  /** Notes why a source did not give a build. @returns it for whoever waits */
  async #faultOf(name: string, source: Source, thrown: unknown): Promise<RequestError> {
    const full = fullDisk(thrown)
    if (full !== undefined || (thrown instanceof RequestError && thrown.code === 'NO_SPACE')) {
      // Days of a bad line may be in what has come: it goes only where the disk is short of its bytes.
      await this.#discard(name, await this.#parts.room.tight())
      return full ?? (thrown as RequestError)
    }
    if (thrown instanceof RequestError) {
      this.contacts.note(source, thrown.message)
      return thrown
    }
    // Nothing is written or removed there any more: the operator copies the data off first.
    const failing = failingDisk(thrown)
    if (failing !== undefined) {
      this.#parts.log.error({ err: thrown, build: name }, `build-${name} cannot be kept: the disk is failing`)
      return failing
    }
    // What the machine lacks can be had; what nobody foresaw may be the fault of what has come.
    if (!(thrown instanceof SugarError)) await this.#discard(name)
    this.#parts.log.error(
      { err: thrown, build: name, source: source.shown },
      `build-${name} cannot be published`,
    )
    return ours()
  }

  async #bring(fetch: Fetch, source: Source, offer: Offer): Promise<Build> {
    fetch.stage = 'waiting'
    fetch.source = source.shown
    return await this.#reading.run(async () => {
      fetch.read()
      this.#parts.log.info({ build: fetch.name, source: source.shown }, `fetching build-${fetch.name}`)
      try {
        return await this.#within(async (signal) => await offer.bring(await this.#site(fetch, signal)))
      } finally {
        // Another source makes its own.
        this.#parts.room.release(fetch.name)
      }
    })
  }

  /** Does something until it is stopped, or takes too long. */
  async #within<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#stop
    const end = new AbortController()
    const stop = () => end.abort(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', stop, { once: true })
    const late = setTimeout(
      () => end.abort(new RequestError('UNAVAILABLE', 'it has not come within a day')),
      longest,
    )
    try {
      return await work(end.signal)
    } catch (error) {
      throw end.signal.aborted ? end.signal.reason : error
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
    }
  }

  async #site(fetch: Fetch, signal: AbortSignal): Promise<Site> {
    const { builds, collector, room, downloads, log } = this.#parts
    const { name } = fetch
    let before = 0
    return {
      name,
      builds,
      folder: await downloads.folder(name),
      signal,
      progress: (bytes, total) => {
        fetch.progress(bytes, total)
        room.came(name, bytes - before)
      },
      unpacking: (bytes) => {
        fetch.stage = 'unpacking'
        room.unpacked(name, bytes)
      },
      makeRoom: (packed, unpacked, here = 0) => {
        before = fetch.bytes - here
        return collector.makeRoom(name, { packed, unpacked, came: here, done: 0 }, signal)
      },
      spare: () => room.spare(),
      note: (line) => log.debug({ build: name }, line),
    }
  }
}

const ours = (): RequestError => new RequestError('INTERNAL', 'the server has a fault, which its log tells')

const stopping = (): RequestError =>
  new RequestError('UNAVAILABLE', 'the server is stopping; try again in about 10 minutes')
