import { type Collection, each, type Stored, StoreError } from '../../../core/api.js'
import type { Build, Builds } from '../../rsync/public.js'
import type { UseDoc } from '../documents.js'

/** Milliseconds between two writes of when a build was used: a class that fetches one is not worth a write each. */
const between = 60_000

/** A time, or now where it lies ahead. */
const calmed = (iso: string): string =>
  Date.parse(iso) > Date.now() + between ? new Date(Date.now()).toISOString() : iso

/** Waits for a write that nothing depends on: what a full disk does not take is mended at the next start. */
const unlessFull = (write: Promise<unknown>): Promise<unknown> =>
  write.catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error
  })

/** When fetched builds were last of use; in memory too, to the moment. */
export class Uses {
  readonly #store: Collection<UseDoc>
  readonly #docs = new Map<string, Stored<UseDoc>>()
  /** Newer than what is written. */
  readonly #usedAt = new Map<string, string>()
  readonly #turns = new Map<string, Promise<unknown>>()

  private constructor(store: Collection<UseDoc>) {
    this.#store = store
  }

  /** Reads what is known, and mends it after a crash: builds of which nothing is known, and notes of what has gone. */
  static async open(store: Collection<UseDoc>, builds: Pick<Builds, 'get' | 'list'>): Promise<Uses> {
    const uses = new Uses(store)
    for await (const doc of each(store)) uses.#docs.set(doc.name, doc)
    for (const build of builds.list()) {
      if (build.from === 'upgrade' && !uses.#docs.has(build.name))
        await unlessFull(uses.installed(build, 'unknown'))
    }
    for (const { name, sticky } of [...uses.#docs.values()]) {
      // What an operator has said stays, even where the disk with the builds is not there today.
      if (builds.get(name)?.from !== 'upgrade' && sticky !== true) await uses.removed(name)
    }
    return uses
  }

  /** @returns undefined for builds that were not fetched */
  get(name: string): UseDoc | undefined {
    const doc = this.#docs.get(name)
    return doc && { ...doc, usedAt: this.#usedAt.get(name) ?? doc.usedAt }
  }

  async installed({ name, publishedAt }: Build, source: string): Promise<void> {
    this.#usedAt.delete(name)
    await this.#change(name, { installedAt: publishedAt, usedAt: publishedAt, source })
  }

  /** Notes that somebody asked for a build. */
  async used(name: string, when: string): Promise<void> {
    const doc = this.#docs.get(name)
    if (doc === undefined) return
    const at = calmed(when)
    this.#usedAt.set(name, at)
    const since = Date.parse(at) - Date.parse(doc.usedAt)
    if (since < 0 || since >= between) await this.#change(name, { usedAt: at })
  }

  async stick(name: string, sticky: boolean): Promise<void> {
    await this.#change(name, { sticky: sticky ? true : undefined })
  }

  /** A build has gone. On a full disk that cannot be written, and must not keep others from going. */
  async removed(name: string): Promise<void> {
    await this.#turn(name, async () => {
      this.#docs.delete(name)
      this.#usedAt.delete(name)
      await unlessFull(this.#store.remove(name))
    })
  }

  /** Takes back what a clock that was ahead has said: such a build would be the newest for years. */
  calm(): void {
    for (const [name, doc] of this.#docs) {
      const { installedAt, usedAt } = { ...doc, usedAt: this.#usedAt.get(name) ?? doc.usedAt }
      if (calmed(installedAt) === installedAt && calmed(usedAt) === usedAt) continue
      this.#usedAt.delete(name)
      this.#docs.set(name, { ...doc, installedAt: calmed(installedAt), usedAt: calmed(usedAt) })
    }
  }

  /** Writes what is newer than the disk has it. */
  async flush(): Promise<void> {
    for (const [name, usedAt] of [...this.#usedAt]) {
      if (this.#docs.get(name)?.usedAt !== usedAt) await unlessFull(this.#change(name, { usedAt }))
    }
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
      const { installedAt, usedAt, source } = change
      if (installedAt === undefined || usedAt === undefined || source === undefined) return
      this.#docs.set(name, await this.#store.insert({ name, installedAt, usedAt, source }))
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
