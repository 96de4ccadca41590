import { type FileHandle, open, readFile, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { bootId, makeFolder, writeFileAtomic } from '../../../core/api.js'

/** What is known of the file that a partial one is the beginning of. */
export interface PartialFacts {
  /** Its address, without passwords. */
  readonly from: string
  /** What the whole of it must hash to: `md5:...`. */
  readonly sum: string
  readonly etag?: string
  readonly modified?: string
  /** Of the whole file. */
  readonly size?: number
}

/** The file of notes: the facts, and how many bytes of the beginning were flushed to the disk. */
interface Notes extends PartialFacts {
  readonly flushed: number
  /** The start of the machine in which it was written: until the next one all bytes are there. */
  readonly boot: string
}

const mostFacts = 8192

/** Bytes after which what has come is flushed: so much is fetched twice after a power cut, at most. */
const flushEvery = 16 << 20

/**
 * A file that comes in parts, over several tries and starts of the server. What it is the beginning of stands beside
 * it, and is on the disk before its first byte; so does how much of it was flushed. Once the machine was started anew, it
 * is gone on with from there and no further: after a power cut, bytes behind that may be zeros.
 */
export class Partial {
  readonly path: string
  readonly #notes: string
  facts: PartialFacts | undefined
  /** Bytes that are there. */
  size: number
  /** Of these, noted as flushed. */
  #flushed: number

  private constructor(
    folder: string,
    facts: PartialFacts | undefined,
    { size, flushed }: { size: number; flushed: number },
  ) {
    this.path = join(folder, 'tree')
    this.#notes = join(folder, 'facts.json')
    this.facts = facts
    this.size = size
    this.#flushed = flushed
  }

  /** Finds what an earlier try has left in a folder, which is made if need be. */
  static async open(folder: string): Promise<Partial> {
    await makeFolder(folder)
    const notes = await readNotes(join(folder, 'facts.json'))
    const size = await sizeIn(folder)
    if (notes === undefined) {
      const none = new Partial(folder, undefined, { size: 0, flushed: 0 })
      await none.discard()
      return none
    }
    const { flushed, boot, ...facts } = notes
    const sure = boot === bootId() ? size : Math.min(size, flushed)
    const partial = new Partial(folder, facts, { size: sure, flushed: Math.min(size, flushed) })
    if (sure < size) await truncate(partial.path, sure)
    return partial
  }

  /** Forgets what is there, and begins anew with a file of which this is known. */
  async begin(facts: PartialFacts): Promise<void> {
    await this.discard()
    this.facts = facts
    await this.#note(0)
  }

  async discard(): Promise<void> {
    // The bytes first: without its facts a beginning would be of nothing.
    await rm(this.path, { force: true })
    await rm(this.#notes, { force: true })
    this.facts = undefined
    this.size = 0
    this.#flushed = 0
  }

  /** Writes on, behind what is there. What has come by the time something fails is gone on with, too. */
  async append(write: (add: (chunk: Buffer) => Promise<void>) => Promise<void>): Promise<void> {
    const file = await open(this.path, 'a', 0o600)
    try {
      await write(async (chunk) => {
        await file.appendFile(chunk)
        this.size += chunk.length
        if (this.size - this.#flushed >= flushEvery) await this.#flush(file)
      })
      await this.#flush(file)
    } catch (error) {
      // A chunk may have been written in part.
      this.size = (await file.stat()).size
      await this.#flush(file).catch(() => undefined)
      throw error
    } finally {
      await file.close()
    }
  }

  async #flush(file: FileHandle): Promise<void> {
    const { size } = this
    await file.sync()
    if (size > this.#flushed) await this.#note(size)
  }

  async #note(flushed: number): Promise<void> {
    if (this.facts === undefined) return
    await writeFileAtomic(
      this.#notes,
      JSON.stringify({ ...this.facts, flushed, boot: bootId() } satisfies Notes),
    )
    this.#flushed = flushed
  }
}

/** Bytes of the partial file in a folder; 0 where there is none. */
export const sizeIn = (folder: string): Promise<number> =>
  stat(join(folder, 'tree')).then(
    ({ size }) => size,
    () => 0,
  )

async function readNotes(path: string): Promise<Notes | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    if (text.length > mostFacts) return undefined
    const { from, sum, etag, modified, size, flushed, boot } = JSON.parse(text) as Record<string, unknown>
    if (typeof from !== 'string' || typeof sum !== 'string') return undefined
    return {
      from,
      sum,
      ...(typeof etag === 'string' && { etag }),
      ...(typeof modified === 'string' && { modified }),
      ...(Number.isSafeInteger(size) && { size: Number(size) }),
      flushed: Number.isSafeInteger(flushed) ? Math.max(0, Number(flushed)) : 0,
      boot: String(boot),
    }
  } catch {
    // A beginning of which nothing is known is begun anew.
    return undefined
  }
}
