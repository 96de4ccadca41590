import { lstat, rmdir } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { RequestError } from '../../../core/api.js'
import type { Build } from '../../rsync/public.js'
import { passes } from './fault.js'
import { failed, longestListing, Pull, settings } from './pull.js'
import { runRsync } from './rsync.js'
import type { Offer, Patience, Site, Source } from './source.js'

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
    const { code, out, said } = await runRsync([...settings(this.#patience.idle), this.shown], {
      signal,
      longest: longestListing,
    })
    if (code !== 0) throw failed(this.shown, said)
    const listed = out
      .split('\n')
      .some((line) => line.slice(0, line.indexOf('\t')).trimEnd() === `build-${name}`)
    return listed ? { bring: (site) => this.#bring(site) } : undefined
  }

  /** What breaks off stays where it is, for the next try or the next start; what is no build goes. */
  async #bring(site: Site): Promise<Build> {
    const { name, builds } = site
    const to = await builds.arrivals.folder(name)
    try {
      await new Pull(this.shown, site, to, this.#patience).run()
      site.unpacking(0)
      const [contents, root] = await Promise.all(
        ['contents', 'root'].map((one) => lstat(join(to, one)).catch(() => undefined)),
      )
      if (contents?.isFile() !== true || root?.isDirectory() !== true)
        throw new RequestError('REFUSED', `${this.shown} has something else as build-${name}`)
      return await builds.adopt(name, to, 'upgrade', site.signal)
    } catch (error) {
      if (error instanceof RequestError && !passes(error)) await builds.arrivals.drop(name)
      // What has nothing in it is no beginning.
      await rmdir(to).catch(() => undefined)
      throw error
    }
  }
}
