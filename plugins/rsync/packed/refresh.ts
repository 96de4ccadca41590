import { join } from 'node:path'
import { asError, type Logger, RequestError, SugarError } from '../../../core/api.js'
import { manifest } from '../builds/layout.js'
import { checkSums, type StockedBuild } from '../builds/making.js'
import { digestOf } from '../builds/manifest.js'
import type { BuildDoc, Seen } from '../documents.js'
import type { Build, Progress } from '../public.js'
import { PackedFile, type Sums } from '../unpack/packed-file.js'
import { nameFile } from './families.js'
import { type Found, PackedFolder, type Tree } from './folder.js'
import type { Outcome } from './outcome.js'
import { clearStagings } from './staging.js'

export interface Asked {
  /** Only the build that is, or is to be, published under this name, or whose files begin with it. */
  readonly name?: string | undefined
  /** Whether what has not changed is unpacked again. */
  readonly force: boolean
}

/** Where builds are published. */
export interface Publishing {
  builds(): readonly BuildDoc[]
  /** Of the directory of a published build. */
  path(name: string): string
  install(build: StockedBuild, progress: Progress): Promise<Build>
  remove(name: string, reason: string): Promise<boolean>
  /** Notes something about a build that is published. */
  update(build: BuildDoc): Promise<void>
}

type Named = Found & { readonly name: string }

/**
 * One comparison of `rsync-packed` with what is published from there. Each build is on its own: what is wrong with one
 * keeps no other from being published, and what is published stays until something better is whole.
 */
export class Refresh {
  readonly #folder: PackedFolder
  readonly #shelf: Publishing
  readonly #progress: Progress
  readonly #log: Logger
  readonly #outcomes: Outcome[] = []

  constructor(folder: string, shelf: Publishing, progress: Progress, log: Logger) {
    this.#folder = new PackedFolder(folder)
    this.#shelf = shelf
    this.#progress = progress
    this.#log = log
  }

  /** @throws RequestError NOT_FOUND; the reason of the signal */
  async run({ name: only, force }: Asked): Promise<readonly Outcome[]> {
    const isMeant = (name: string, stem?: string) => only === undefined || only === name || only === stem
    const trees = await this.#folder.trees()
    await clearStagings(this.#folder.path).catch((err: unknown) => {
      this.#log.warn({ err }, 'what a crash left of a copy cannot be removed')
    })
    const named: Named[] = []
    for (const tree of trees) {
      const { stem } = tree
      if ('fault' in tree) {
        if (isMeant(stem) || (only !== undefined && this.#isFrom(stem, only))) this.#refused(stem, tree.fault)
      } else if (tree.name !== undefined) named.push({ ...tree, name: tree.name })
      else if (stem === only) throw unnamed(stem)
      else if (only === undefined) this.#progress.note(`${stem} is passed over: ${unnamed(stem).message}`)
    }
    for (const name of new Set(named.map((tree) => tree.name))) {
      const [one, ...others] = named.filter((tree) => tree.name === name)
      if (one === undefined || !isMeant(name, one.stem)) continue
      if (others.length === 0) await this.#attempt(name, () => this.#publish(one, force))
      else this.#refused(name, twice([one, ...others]))
    }
    for (const build of this.#shelf.builds()) {
      if (isMeant(build.name)) await this.#attempt(build.name, () => this.#withdraw(build, trees, named))
    }
    if (only !== undefined && this.#outcomes.length === 0) throw unknown(only, this.#folder.path)
    return this.#outcomes
  }

  async #publish(found: Named, force: boolean): Promise<void> {
    const { name } = found
    const build = await this.#folder.stocked(found)
    if (!force && (await this.#isPublished(build))) {
      this.#outcomes.push({ name, what: 'unchanged' })
      return
    }
    this.#progress.note(`${name}: unpacking ${found.tree}`)
    await this.#shelf.install(build, this.#progress)
    const note =
      build.md5 === undefined ? `there is no ${found.sum}, so nobody knows whether it is as it was made` : ''
    this.#outcomes.push({ name, what: 'published', ...(note !== '' && { note }) })
  }

  /** Whether this very build is. Its tree is read only if it is not the same file as then. */
  async #isPublished(build: StockedBuild): Promise<boolean> {
    const { name, packedAs, tree, contents, seen, md5 } = build
    const known = this.#shelf.builds().find((one) => one.name === name)
    if (known === undefined) return false
    const served = await digestOf(join(this.#shelf.path(name), manifest)).catch(() => undefined)
    if ((await digestOf(contents)) !== served) return false
    const isAsked = md5 === undefined || md5 === known.md5
    if (known.packedAs === packedAs && isSame(known.seen, seen) && isAsked) return true
    this.#progress.note(`${name}: looking whether it has changed`)
    const sums = await this.#sumsOf(tree)
    if (sums.sha256 !== known.digest) return false
    // Its sum may be another one now: then somebody is about to bring another tree.
    checkSums(build, sums)
    await this.#shelf.update({ ...known, from: 'rsync', packedAs, seen, ...(md5 !== undefined && { md5 }) })
    return true
  }

  async #sumsOf(path: string): Promise<Sums> {
    const file = await PackedFile.open(path)
    try {
      for await (const _ of file.rest()) this.#progress.signal.throwIfAborted()
      return await file.sums()
    } finally {
      await file.close()
    }
  }

  /** What came from here goes when nothing says any more how it is called, or when it has been published anew. */
  async #withdraw(
    { name, packedAs }: BuildDoc,
    trees: readonly Tree[],
    named: readonly Named[],
  ): Promise<void> {
    if (packedAs === undefined || named.some((tree) => tree.name === name)) return
    const other = named.find((tree) => tree.stem === packedAs)?.name
    const isRenamed = other !== undefined && this.#isFrom(packedAs, other)
    if (!isRenamed && (await this.#folder.isNamed(packedAs))) {
      const isThere = trees.some(({ stem }) => stem === packedAs)
      if (!isThere)
        this.#outcomes.push({ name, what: 'unchanged', note: 'its packed tree is not there any more' })
      return
    }
    const reason = isRenamed ? `it is called ${other} now` : `there is no ${nameFile(packedAs)} any more`
    await this.#shelf.remove(name, reason)
    this.#outcomes.push({ name, what: 'withdrawn', note: reason })
  }

  /** Whether a build is published that came from the files of this name. */
  #isFrom(stem: string, name: string): boolean {
    return this.#shelf.builds().some((build) => build.name === name && build.packedAs === stem)
  }

  async #attempt(name: string, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#progress
    signal.throwIfAborted()
    try {
      await work()
    } catch (error) {
      signal.throwIfAborted()
      this.#refused(name, error)
    }
  }

  #refused(name: string, fault: unknown): void {
    const error = asError(fault)
    const isKnown = error instanceof SugarError
    if (!isKnown) this.#log.error({ err: error, build: name }, 'a build could not be published')
    const note = isKnown ? withHint(error) : 'something is wrong with this server, whose log says what'
    if (isKnown) this.#log.warn({ build: name, reason: error.message }, 'a packed build is not published')
    this.#outcomes.push({ name, what: 'refused', note })
  }
}

const withHint = ({ message, hint }: SugarError): string =>
  hint === undefined ? message : `${message}; ${hint}`

const isSame = (before: Seen | undefined, now: Seen): boolean =>
  before?.size === now.size &&
  before.mtimeMs === now.mtimeMs &&
  before.ctimeMs === now.ctimeMs &&
  before.ino === now.ino

const twice = (trees: readonly Named[]): RequestError =>
  new RequestError(
    'REFUSED',
    `${trees.map(({ tree }) => tree).join(' and ')} want to be published under one name`,
    {
      hint: 'leave only one of them there',
    },
  )

const unnamed = (stem: string): RequestError =>
  new RequestError('NOT_FOUND', `there is no ${nameFile(stem)} that says how it is to be called`, {
    hint: 'make it: its first line is the name under which laptops ask for the build',
  })

const unknown = (name: string, folder: string): RequestError =>
  new RequestError('NOT_FOUND', `there is no build ${name} in ${folder}, and none is published from there`, {
    hint: '"sugar-server rsync list" lists what is published',
  })
