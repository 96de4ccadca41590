import { type Logger, RequestError } from '../../../core/api.js'
import type { Build, Builds } from '../../rsync/public.js'
import { fullDisk } from '../full-disk.js'
import type { Collector } from '../lru/collector.js'
import type { Offer, Site, Source } from '../sources/source.js'
import type { Downloads } from './downloads.js'
import { Failures, minutes, minutesUntil } from './failures.js'
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

/** What a source said the last time it was asked. */
export interface Contact {
  readonly source: string
  /** ISO 8601, UTC. */
  readonly at: string
  /** What was wrong, where something was. */
  readonly fault: string | undefined
}

export interface FetchesParts {
  readonly sources: readonly Source[]
  readonly builds: Builds
  readonly collector: Collector
  readonly downloads: Downloads
  readonly log: Logger
  /** A build has come. */
  fetched(build: Build, source: string): Promise<void>
}

/** Nobody has it. */
class Nowhere extends RequestError {}

/** Builds that are being fetched: one fetch for each name, however many ask. */
export class Fetches {
  readonly failures = new Failures()
  readonly #parts: FetchesParts
  readonly #fetches = new Map<string, Fetch>()
  readonly #tasks = new Set<Promise<void>>()
  readonly #contacts = new Map<string, Contact>()
  readonly #asking = new Gate(askedAtOnce)
  readonly #reading = new Gate(readAtOnce)
  readonly #stop = new AbortController()

  constructor(parts: FetchesParts) {
    this.#parts = parts
  }

  get(name: string): Fetch | undefined {
    return this.#fetches.get(name)
  }

  all(): Fetch[] {
    return [...this.#fetches.values()]
  }

  contacts(): Contact[] {
    return [...this.#contacts.values()]
  }

  /**
   * The fetch of a build, which is begun if it is not under way.
   * @throws RequestError when it has just failed, or cannot be begun
   */
  want(name: string): Fetch {
    const under = this.#fetches.get(name)
    if (under !== undefined) return under
    if (this.#stop.signal.aborted) throw stopping()
    const failure = this.failures.get(name)
    if (failure !== undefined) {
      const later = `try again in ${minutes(minutesUntil(failure.until))}`
      throw new RequestError('UNAVAILABLE', `build-${name} ${failure.why}; ${later}`)
    }
    if (this.#fetches.size >= most) {
      throw new RequestError(
        'TOO_MANY',
        `${most} other builds are being fetched; try again in about 10 minutes`,
      )
    }
    const fetch = new Fetch(name)
    this.#fetches.set(name, fetch)
    const task = this.#run(fetch).finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
    return fetch
  }

  /** Ends what is under way; what has come of it stays for the next start. */
  async close(): Promise<void> {
    this.#stop.abort(stopping())
    await Promise.all(this.#tasks)
  }

  /** Never rejects: whoever waits hears how it ended. */
  async #run(fetch: Fetch): Promise<void> {
    const { name } = fetch
    const { collector, log, fetched } = this.#parts
    try {
      const build = await this.#fetch(fetch)
      collector.release(name)
      await fetched(build, fetch.source)
      await this.#discard(name)
      log.info({ build: name, source: fetch.source, bytes: build.bytes }, `fetched build-${name}`)
      this.#end(fetch, { build })
    } catch (thrown) {
      collector.release(name)
      this.#end(fetch, { error: await this.#fail(name, thrown) })
    }
  }

  #end(fetch: Fetch, end: NonNullable<Fetch['end']>): void {
    this.#fetches.delete(fetch.name)
    fetch.finish(end)
  }

  /** Notes a failure. @returns what whoever waits is told */
  async #fail(name: string, thrown: unknown): Promise<RequestError> {
    if (this.#stop.signal.aborted) return stopping()
    const why = this.#why(thrown)
    this.failures.note(name, why)
    const err = thrown instanceof RequestError ? undefined : thrown
    this.#parts.log.warn({ build: name, err }, `build-${name} ${why}`)
    // What broke off goes on the next time; what is too large is not kept.
    if (!(thrown instanceof RequestError && thrown.code === 'UNAVAILABLE')) await this.#discard(name)
    return new RequestError('UNAVAILABLE', `build-${name} ${why}; try again in 10 minutes`)
  }

  /** Removes what has come of a build. What cannot be removed now goes with what nobody asks for any more. */
  async #discard(name: string): Promise<void> {
    try {
      await this.#parts.downloads.remove(name)
    } catch (err) {
      this.#parts.log.error({ err, build: name }, `what has come of build-${name} cannot be removed`)
    }
  }

  #why(thrown: unknown): string {
    if (thrown instanceof Nowhere) return thrown.message
    if (thrown instanceof RequestError) return `could not be fetched: ${thrown.message}`
    const full = fullDisk(thrown)
    if (full !== undefined) return `could not be fetched: ${full.message}`
    return 'could not be fetched: the server has a fault, which its log tells'
  }

  /** Asks the sources in their order, and takes the build from the first that gives it. */
  async #fetch(fetch: Fetch): Promise<Build> {
    const { name } = fetch
    const { signal } = this.#stop
    const faults: string[] = []
    for (const source of this.#parts.sources) {
      fetch.stage = 'looking'
      fetch.source = ''
      try {
        const offer = await this.#asking.run(() => {
          signal.throwIfAborted()
          return source.find(name, signal)
        })
        this.#contact(source)
        if (offer !== undefined) return await this.#bring(fetch, source, offer)
      } catch (error) {
        if (signal.aborted || !(error instanceof RequestError) || error.code === 'NO_SPACE') throw error
        this.#contact(source, error.message)
        faults.push(error.message)
        // What is hostile or broken is not gone on with.
        if (error.code !== 'UNAVAILABLE') await this.#discard(name)
      }
    }
    if (faults.length === 0) throw new Nowhere('NOT_FOUND', 'is not here, and at none of the sources')
    throw new RequestError('UNAVAILABLE', faults.join('; '))
  }

  async #bring(fetch: Fetch, source: Source, offer: Offer): Promise<Build> {
    fetch.stage = 'waiting'
    fetch.source = source.shown
    return await this.#reading.run(async () => {
      fetch.read()
      this.#parts.log.info({ build: fetch.name, source: source.shown }, `fetching build-${fetch.name}`)
      return await this.#within(async (signal) => await offer.bring(await this.#site(fetch, signal)))
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
    const { builds, collector, downloads, log } = this.#parts
    const { name } = fetch
    let before = 0
    return {
      name,
      builds,
      folder: await downloads.folder(name),
      signal,
      progress: (bytes, total) => {
        fetch.progress(bytes, total)
        collector.came(name, bytes - before)
      },
      unpacking: () => {
        fetch.stage = 'unpacking'
      },
      makeRoom: (packed, unpacked) => {
        before = fetch.bytes
        return collector.makeRoom(name, packed, unpacked)
      },
      spare: () => collector.spare(),
      note: (line) => log.debug({ build: name }, line),
    }
  }

  #contact({ shown: source }: Source, fault?: string): void {
    this.#contacts.set(source, { source, at: new Date().toISOString(), fault })
  }
}

const stopping = (): RequestError =>
  new RequestError('UNAVAILABLE', 'the server is stopping; try again in about 10 minutes')
