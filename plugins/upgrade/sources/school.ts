import { lstat } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { printable, RequestError, removeTree } from '../../../core/api.js'
import type { Build } from '../../rsync/public.js'
import { runRsync } from './rsync.js'
import type { Offer, Patience, Site, Source } from './source.js'

const minute = 60_000
const longestListing = 2 * minute
const longestPull = 12 * 60 * minute
/** Milliseconds between two looks at the room that is left. */
const look = 5_000

/** Bytes of a disk that a file takes at least, so to speak. */
const block = 4096

/** Exit codes of rsync after which another try may go better: lines that broke, files that went meanwhile, timeouts. */
const passing = new Set([10, 11, 12, 20, 23, 24, 30, 35])

/**
 * Another school server. Only what it lists is asked for: a server that fetches a build because another asks for it
 * would keep that one waiting, and servers that name one another would wait in a ring.
 */
export class School implements Source {
  readonly shown: string
  readonly #patience: Patience

  constructor({ host, port }: { host: string; port: number }, patience: Patience) {
    const place = isIPv6(host) ? `[${host}]` : host
    this.shown = `rsync://${place}:${port}/`
    this.#patience = patience
  }

  async find(name: string, signal: AbortSignal): Promise<Offer | undefined> {
    const { code, out, said } = await runRsync([...this.#common(), this.shown], {
      signal,
      longest: longestListing,
    })
    if (code !== 0) throw this.#failed(said)
    const listed = out
      .split('\n')
      .some((line) => line.slice(0, line.indexOf('\t')).trimEnd() === `build-${name}`)
    return listed ? { bring: (site) => this.#bring(site) } : undefined
  }

  async #bring(site: Site): Promise<Build> {
    const to = await site.builds.scratch()
    try {
      const total = await this.#measure(site, to)
      await site.makeRoom(0, total)
      await this.#pull(site, to, total)
      site.unpacking()
      const [contents, root] = await Promise.all(
        ['contents', 'root'].map((name) => lstat(join(to, name)).catch(() => undefined)),
      )
      if (contents?.isFile() !== true || root?.isDirectory() !== true)
        throw new RequestError('UNAVAILABLE', `${this.shown} has something else as build-${site.name}`)
      return await site.builds.adopt(site.name, to, 'upgrade')
    } finally {
      await removeTree(to)
    }
  }

  /** @returns the bytes of the disk that it takes, more or less */
  async #measure(site: Site, to: string): Promise<number> {
    const { signal } = site
    const { code, out, said } = await runRsync(['-n', '--stats', ...this.#pulling(site, to)], {
      signal,
      longest: longestListing * 5,
    })
    const [, bytes] = /^Total file size: ([0-9]{1,15}) bytes/m.exec(out) ?? []
    const [, files] = /^Number of files: ([0-9]{1,15})/m.exec(out) ?? []
    if (code !== 0 || bytes === undefined) throw this.#failed(said)
    return Number(bytes) + Number(files) * block
  }

  async #pull(site: Site, to: string, total: number): Promise<void> {
    const { pauses } = this.#patience
    for (let tries = 0; ; tries += 1) {
      const { code, said } = await this.#pullOnce(site, to, total)
      if (code === 0) return
      const pause = pauses[tries]
      if (pause === undefined || !passing.has(code)) throw this.#failed(said)
      await sleep(pause, undefined, { signal: site.signal })
    }
  }

  async #pullOnce(site: Site, to: string, total: number): Promise<{ code: number; said: string }> {
    const stop = new AbortController()
    const halt = () => stop.abort(site.signal.reason)
    site.signal.addEventListener('abort', halt, { once: true })
    const watch = setInterval(async () => {
      const left = await site.spare().catch(() => 1)
      if (left <= 0)
        stop.abort(new RequestError('NO_SPACE', `build-${site.name} is larger than what fits on the disk`))
    }, look)
    try {
      site.signal.throwIfAborted()
      return await runRsync(['--no-i-r', '--info=progress2', ...this.#pulling(site, to)], {
        signal: stop.signal,
        longest: longestPull,
        heard: (text) => {
          const bytes = /([0-9]{1,15}) +[0-9]{1,3}%[^%]*$/.exec(text)?.[1]
          if (bytes !== undefined) site.progress(Number(bytes), total)
        },
      })
    } finally {
      clearInterval(watch)
      site.signal.removeEventListener('abort', halt)
    }
  }

  /** The arguments of every run: seconds, and numbers without marks. */
  #common(): string[] {
    const seconds = Math.max(1, Math.ceil(this.#patience.idle / 1000))
    return [`--contimeout=${seconds}`, `--timeout=${seconds}`, '--no-h']
  }

  /** `fake super` keeps owners, devices and modes in attributes, as the tree is served again. */
  #pulling({ name }: Site, to: string): string[] {
    return [
      ...this.#common(),
      ...['-aH', '--numeric-ids', '--fake-super', '--delete'],
      ...['--include=/contents', '--include=/root/', '--include=/root/**', '--exclude=*'],
      `${this.shown}build-${name}/`,
      `${to}/`,
    ]
  }

  #failed(said: string): RequestError {
    // What the other server says is for people; the rest is rsync's own.
    const words = /@ERROR: ([^\r\n]{1,500})/.exec(said)?.[1]
    const [fault = ''] = said.split(/[\r\n]/)
    const what = words === undefined ? `cannot be read: ${fault.slice(0, 300)}` : `says: ${words}`
    return new RequestError('UNAVAILABLE', `${this.shown} ${printable(what)}`)
  }
}
