import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

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

const mostFacts = 8192

/**
 * A file that comes in parts, over several tries and starts of the server. What it is the beginning of stands beside
 * it, and is on the disk before its first byte.
 */
export class Partial {
  readonly path: string
  readonly #notes: string
  facts: PartialFacts | undefined
  /** Bytes that are there. */
  size: number

  private constructor(folder: string, facts: PartialFacts | undefined, size: number) {
    this.path = join(folder, 'tree')
    this.#notes = join(folder, 'facts.json')
    this.facts = facts
    this.size = size
  }

  /** Finds what an earlier try has left in a folder, which is made if need be. */
  static async open(folder: string): Promise<Partial> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const facts = await readFacts(join(folder, 'facts.json'))
    const size = await sizeIn(folder)
    const partial = new Partial(folder, facts, size)
    if (size > 0 && facts === undefined) await partial.discard()
    return partial
  }

  /** Forgets what is there, and begins anew with a file of which this is known. */
  async begin(facts: PartialFacts): Promise<void> {
    await this.discard()
    const draft = `${this.#notes}.new`
    const file = await open(draft, 'w', 0o600)
    try {
      await file.writeFile(JSON.stringify(facts))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, this.#notes)
    const folder = await open(join(this.#notes, '..'), 'r')
    await folder.sync().finally(() => folder.close())
    this.facts = facts
  }

  async discard(): Promise<void> {
    // The bytes first: without its facts a beginning would be of nothing.
    await rm(this.path, { force: true })
    await rm(this.#notes, { force: true })
    this.facts = undefined
    this.size = 0
  }

  /** Writes on, behind what is there. */
  async append(write: (add: (chunk: Buffer) => Promise<void>) => Promise<void>): Promise<void> {
    const file: FileHandle = await open(this.path, 'a', 0o600)
    try {
      await write(async (chunk) => {
        await file.appendFile(chunk)
        this.size += chunk.length
      })
      await file.sync()
    } finally {
      // A chunk may have been written in part.
      this.size = (await file.stat()).size
      await file.close()
    }
  }
}

/** Bytes of the partial file in a folder; 0 where there is none. */
export const sizeIn = (folder: string): Promise<number> =>
  stat(join(folder, 'tree')).then(
    ({ size }) => size,
    () => 0,
  )

async function readFacts(path: string): Promise<PartialFacts | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    if (text.length > mostFacts) return undefined
    const { from, sum, etag, modified, size } = JSON.parse(text) as Record<string, unknown>
    if (typeof from !== 'string' || typeof sum !== 'string') return undefined
    return {
      from,
      sum,
      ...(typeof etag === 'string' && { etag }),
      ...(typeof modified === 'string' && { modified }),
      ...(Number.isSafeInteger(size) && { size: Number(size) }),
    }
  } catch {
    // A beginning of which nothing is known is begun anew.
    return undefined
  }
}
