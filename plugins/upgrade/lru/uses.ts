import { type Collection, each, type Stored, StoreError } from '../../../core/api.js'
import type { Build, Builds } from '../../rsync/public.js'
import type { UseDoc } from '../documents.js'

/** Milliseconds between two writes of when a build was used: a class that fetches one is not worth a write each. */
const between = 60_000

/** Waits for a write that nothing depends on: what a full disk does not take is written later or mended at a start. */
const unlessFull = (write: Promise<unknown>): Promise<unknown> =>
  write.catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error
  })

type Use = Pick<UseDoc, 'usedAt' | 'rank'>

/** When fetched builds were last of use; in memory too, to the moment. */
export class Uses {
  readonly #store: Collection<UseDoc>
  readonly #docs = new Map<string, Stored<UseDoc>>()
  /** Newer than what is written. */
  readonly #newer = new Map<string, Use>()
  /** Of the last use of any. */
  #rank = 0
  readonly #turns = new Map<string, Promise<unknown>>()

  private constructor(store: Collection<UseDoc>) {
    this.#store = store
  }

  /** Reads what is known, and mends it after a crash: builds of which nothing is known, and notes of what has gone. */
  static async open(store: Collection<UseDoc>, builds: Pick<Builds, 'get' | 'list'>): Promise<Uses> {
    const uses = new Uses(store)
    for await (const doc of each(store)) {
      uses.#docs.set(doc.name, doc)
      uses.#rank = Math.max(uses.#rank, doc.rank ?? 0)
    }
    const strange = builds.list().filter(({ name, from }) => from === 'upgrade' && !uses.#docs.has(name))
    for (const build of strange.sort((a, b) => a.publishedAt.localeCompare(b.publishedAt)))
      await unlessFull(uses.installed(build, 'unknown'))
    for (const { name, sticky } of [...uses.#docs.values()]) {
      // What an operator has said stays, even where the disk with the builds is not there today.
      if (builds.get(name)?.from !== 'upgrade' && sticky !== true) await uses.removed(name)
    }
    return uses
  }

  /** @returns undefined for builds that were not fetched */
  get(name: string): UseDoc | undefined {
    const doc = this.#docs.get(name)
    return doc && { ...doc, ...this.#newer.get(name) }
  }

  /** The higher, the later it was of use, whatever the clock said. */
  rankOf(name: string): number {
    return (this.#newer.get(name) ?? this.#docs.get(name))?.rank ?? 0
  }

  async installed({ name, publishedAt }: Build, source: string): Promise<void> {
    const use = this.#use(name, publishedAt)
    await this.#change(name, { installedAt: publishedAt, source, ...use })
  }

  /** Notes that somebody asked for a build. */
  async used(name: string, at: string): Promise<void> {
    const doc = this.#docs.get(name)
    if (doc === undefined) return
    const use = this.#use(name, at)
    const since = Date.parse(at) - Date.parse(doc.usedAt)
    if (since < 0 || since >= between) await unlessFull(this.#change(name, use))
  }

  async stick(name: string, sticky: boolean): Promise<void> {
    await this.#change(name, { sticky: sticky ? true : undefined })
  }

  /** A build has gone. On a full disk that cannot be written, and must not keep others from going. */
  async removed(name: string): Promise<void> {
    await this.#turn(name, async () => {
      this.#docs.delete(name)
      this.#newer.delete(name)
      await unlessFull(this.#store.remove(name))
    })
  }

  /** Writes what is newer than the disk has it. */
  async flush(): Promise<void> {
    for (const [name, use] of [...this.#newer]) {
      if (this.#docs.get(name)?.rank !== use.rank) await unlessFull(this.#change(name, use))
    }
  }

  #use(name: string, usedAt: string): Use {
    this.#rank += 1
    const use = { usedAt, rank: this.#rank }
    this.#newer.set(name, use)
    return use
  }

  async #change(
    name: string,
    change: Partial<Omit<UseDoc, 'sticky'>> & { sticky?: true | undefined },
  ): Promise<void> {
    await this.#turn(name, async () => {
      const known = this.#docs.get(name) ?? (await this.#store.get(name))
      if (known !== undefined) {
        this.#docs.set(name, await this.#store.update(name, known.rev, change))
        return
      }
      const { installedAt, usedAt, rank, source } = change
      if (installedAt === undefined || usedAt === undefined || source === undefined) return
      const doc = { name, installedAt, usedAt, source, ...(rank !== undefined && { rank }) }
      this.#docs.set(name, await this.#store.insert(doc))
    })
  }

  /** One change of a build after the other. */
  async #turn(name: string, task: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(name) ?? Promise.resolve()
    const turn = before.then(task)
    const settled = turn.catch(() => undefined)
    this.#turns.set(name, settled)
    await turn.finally(() => {
      if (this.#turns.get(name) === settled) this.#turns.delete(name)
    })
  }
}
