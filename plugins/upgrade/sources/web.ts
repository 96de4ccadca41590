import { join } from 'node:path'
import { RequestError } from '../../../core/api.js'
import type { Build } from '../../rsync/public.js'
import { Changed, download, type Wanted } from '../download/download.js'
import { Partial } from '../download/partial.js'
import { ask, failure, Interrupted, isMissing, type Question, shown, textAt } from '../download/request.js'
import { longestSums, noSum, type Sum, sumOf } from './checksum.js'
import { candidates, sums } from './packed.js'
import { longestManifest, noManifest, publish, unpackedSize, WrongSum } from './publish.js'
import type { Offer, Patience, Site, Source } from './source.js'
import { decoded } from './word.js'

/** A packed build on a server. */
interface Found {
  readonly tree: URL
  readonly manifests: readonly URL[]
  readonly sum: Sum
  /** Of the tree, where the server says it. */
  readonly size: number | undefined
}

type Asking = Omit<Question, 'method' | 'headers'>

/** Packed builds on a web server. */
export class Web implements Source {
  readonly shown: string
  readonly #template: string
  readonly #authorization: string | undefined
  readonly #patience: Patience

  /** @param template an address with {name} in its path: of the tree, or of what its files' names begin with */
  constructor(template: string, authorization: string | undefined, patience: Patience) {
    this.shown = template
    this.#template = template
    this.#authorization = authorization
    this.#patience = patience
  }

  async find(name: string, signal: AbortSignal): Promise<Offer | undefined> {
    const found = await this.#find(name, signal)
    return found && { bring: (site) => this.#bring(site, found) }
  }

  async #find(name: string, signal: AbortSignal): Promise<Found | undefined> {
    const asking = { authorization: this.#authorization, signal, idle: this.#patience.idle }
    let refusal: unknown
    for (const { tree, manifests } of candidates(this.#template, encodeURIComponent(name))) {
      const url = new URL(tree)
      const there = await look(url, asking).catch((error: unknown) => {
        // Some servers refuse what they do not have.
        if (!(error instanceof RequestError) || error instanceof Interrupted) throw error
        refusal ??= error
        return undefined
      })
      if (there === undefined) continue
      const sum = await sumBeside(url, asking)
      return { tree: url, manifests: manifests.map((one) => new URL(one)), sum, ...there }
    }
    if (refusal !== undefined) throw refusal
    return undefined
  }

  /** Brings it. What turns out to be another build than was found is looked for and begun anew, once. */
  async #bring(site: Site, first: Found): Promise<Build> {
    const partial = await Partial.open(site.folder)
    const resumed = partial.size > 0
    try {
      return await this.#bringOnce(site, partial, first)
    } catch (error) {
      if (!(error instanceof Changed) && !(error instanceof WrongSum && resumed)) throw error
    }
    site.note(`${shown(first.tree)} has changed: it is fetched anew`)
    const second = await this.#find(site.name, site.signal)
    if (second === undefined) throw new RequestError('UNAVAILABLE', `${shown(first.tree)} has just gone`)
    try {
      return await this.#bringOnce(site, partial, second)
    } catch (error) {
      if (!(error instanceof Changed)) throw error
      throw new RequestError('UNAVAILABLE', `${error.message} again while it was being fetched`)
    }
  }

  async #bringOnce(site: Site, partial: Partial, { tree, manifests, sum, size }: Found): Promise<Build> {
    const { signal } = site
    const wanted: Wanted = {
      url: tree,
      authorization: this.#authorization,
      sum: `${sum.algorithm}:${sum.hex}`,
      signal,
      spare: () => site.spare(),
      progress: (bytes, total) => site.progress(bytes, total),
      patience: this.#patience,
    }
    // The beginning of a tree that must hash to something else is of no use.
    if (partial.facts !== undefined && partial.facts.sum !== wanted.sum) await partial.discard()
    site.progress(partial.size, size)
    if (size !== undefined) await site.makeRoom(Math.max(0, size - partial.size), unpackedSize(size))
    const manifest = await this.#manifest(site, manifests, wanted)
    await download(partial, wanted)
    // What was not told before, or not truly, is known now.
    if (partial.size !== size) await site.makeRoom(0, unpackedSize(partial.size))
    return await publish(site, shown(tree), { partial, manifest, sum })
  }

  /** Fetches the manifest: before the tree, which is of no use without it. @returns its path */
  async #manifest(site: Site, manifests: readonly URL[], wanted: Wanted): Promise<string> {
    const partial = await Partial.open(join(site.folder, 'manifest'))
    await partial.discard()
    for (const url of manifests) {
      const asking = { authorization: wanted.authorization, signal: site.signal, idle: this.#patience.idle }
      if ((await look(url, asking)) === undefined) continue
      await download(partial, {
        ...wanted,
        url,
        secure: true,
        spare: async () => Math.min(await site.spare(), longestManifest),
        progress: () => undefined,
      })
      return partial.path
    }
    throw noManifest(manifests.map(shown))
  }
}

/** Sees whether a file is there, without reading it. */
async function look(url: URL, asking: Asking): Promise<{ size: number | undefined } | undefined> {
  const head = await ask(url, { ...asking, method: 'HEAD' })
  head.body.destroy()
  // Some servers know no HEAD: the answer to a GET begins in the same way.
  const answer = [405, 501].includes(head.status) ? await ask(url, { ...asking, method: 'GET' }) : head
  answer.body.destroy()
  if (isMissing(answer)) return undefined
  if (answer.status !== 200) throw failure(url, answer)
  const length = answer.headers['content-length'] ?? ''
  return { size: /^[0-9]{1,15}$/.test(length) ? Number(length) : undefined }
}

/** The sum that a tree must have, from the file beside it. */
async function sumBeside(tree: URL, asking: Asking): Promise<Sum> {
  const file = decoded(tree.pathname.slice(tree.pathname.lastIndexOf('/') + 1))
  for (const { end, algorithm } of sums) {
    const url = new URL(tree.href + end)
    const text = await textAt(url, { ...asking, method: 'GET', secure: true }, longestSums)
    if (text === undefined) continue
    const sum = sumOf(text, file, algorithm)
    if (sum !== undefined) return sum
    throw new RequestError('REFUSED', `${shown(url)} holds no ${algorithm} sum of ${file}`)
  }
  throw noSum(shown(tree))
}
