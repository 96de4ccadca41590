import { setTimeout as sleep } from 'node:timers/promises'
import { RequestError } from '../../../core/api.js'
import { fullDisk } from '../full-disk.js'
import type { Patience } from '../sources/source.js'
import type { Partial, PartialFacts } from './partial.js'
import { type Answer, ask, bytesOf, failure, Interrupted, type Question, shown } from './request.js'

/** The file at an address is another one than that whose beginning is here. */
export class Changed extends Error {}

export interface Wanted {
  readonly url: URL
  readonly authorization: string | undefined
  /** See Question. */
  readonly secure?: boolean
  /** What the build's tree must hash to, `md5:...`; it is noted with what comes. */
  readonly sum: string
  /** Bytes that it may have: as many as fit. Asked for before each try. */
  spare(): Promise<number>
  progress(bytes: number, total: number | undefined): void
  readonly signal: AbortSignal
  readonly patience: Patience
}

/** What counts as getting on: a source that breaks off each time, but later, is not given up. */
const worthwhile = 1 << 20

/** Bytes after which it is looked again how much fits: others write on the same disk. */
const lookEvery = 32 << 20

/**
 * Reads a file into a partial one until it is whole, over as many connections as it takes: a try that fails is followed
 * by another after a pause, and each goes on where the one before ended.
 * @throws Changed; RequestError for what cannot be mended by trying again, or was tried in vain
 */
export async function download(partial: Partial, wanted: Wanted): Promise<void> {
  const { signal, patience } = wanted
  let best = partial.size
  for (let tries = 0; ; ) {
    try {
      await attempt(partial, wanted)
      return
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (!(error instanceof Interrupted)) throw await final(error, partial)
      if (partial.size >= best + worthwhile) {
        best = partial.size
        tries = 0
      }
      const pause = patience.pauses[tries]
      if (pause === undefined) throw error
      tries += 1
      await sleep(pause, undefined, { signal })
    }
  }
}

async function attempt(partial: Partial, wanted: Wanted): Promise<void> {
  const { url, authorization, secure = false, signal, patience } = wanted
  const { facts } = partial
  if (facts?.size !== undefined && partial.size === facts.size) return
  const validator = validatorOf(facts)
  // Without one nobody could tell whether what follows belongs to what is here.
  const begun = validator !== undefined && partial.size > 0
  const question: Question = {
    method: 'GET',
    authorization,
    secure,
    signal,
    idle: patience.idle,
    headers: begun ? { Range: `bytes=${partial.size}-`, 'If-Range': validator } : {},
  }
  const answer = await ask(url, question)
  try {
    await match(answer, partial, wanted, begun)
    await read(answer, partial, wanted, question)
  } finally {
    answer.body.destroy()
  }
}

/** Sees that an answer goes on where the partial file ends; where it has the whole file, that begins anew. */
async function match(answer: Answer, partial: Partial, wanted: Wanted, begun: boolean): Promise<void> {
  const { url } = wanted
  if (answer.status === 416) {
    await partial.discard()
    throw new Interrupted(`${shown(url)} has no more than what is here already`)
  }
  if (answer.status !== 200 && answer.status !== 206) throw failure(url, answer)
  const found = factsOf(answer, wanted)
  if (partial.facts !== undefined && isOther(partial.facts, found)) {
    await partial.discard()
    throw new Changed(`${shown(url)} has changed`)
  }
  if (answer.status === 200) return await partial.begin(found)
  if (begun && rangeOf(answer).start === partial.size) return
  await partial.discard()
  throw new Interrupted(`${shown(url)} sends another part than was asked for`)
}

async function read(answer: Answer, partial: Partial, wanted: Wanted, question: Question): Promise<void> {
  const { url } = wanted
  const total = partial.facts?.size
  let most = partial.size + (await wanted.spare())
  let looked = partial.size
  if (total !== undefined && total > most) throw tooLarge(url, total, most)
  await partial.append(async (add) => {
    for await (const chunk of bytesOf(answer, url, question)) {
      if (partial.size - looked > lookEvery) {
        looked = partial.size
        most = partial.size + (await wanted.spare())
      }
      const size = partial.size + chunk.length
      if (size > Math.min(most, total ?? most)) throw tooLarge(url, size, most)
      await add(chunk)
      wanted.progress(partial.size, total)
    }
  })
  if (total !== undefined && partial.size < total) throw new Interrupted(`${shown(url)} ended early`)
}

function factsOf(answer: Answer, { url, sum }: Wanted): PartialFacts {
  const { etag, 'last-modified': modified, 'content-length': length } = answer.headers
  const size = answer.status === 206 ? rangeOf(answer).total : wholeNumber(length)
  return {
    from: shown(url),
    sum,
    ...(etag !== undefined && etag.length < 1000 && { etag }),
    ...(modified !== undefined && modified.length < 100 && { modified }),
    ...(size !== undefined && { size }),
  }
}

/**
 * Whether the bytes of two answers differ. Mirrors of one file have tags of their own: where it is known when the file
 * was changed, that counts.
 */
function isOther(one: PartialFacts, other: PartialFacts): boolean {
  const differs = (name: 'size' | 'modified' | 'etag') =>
    one[name] !== undefined && other[name] !== undefined && one[name] !== other[name]
  if (differs('size') || differs('modified')) return true
  return (one.modified === undefined || other.modified === undefined) && differs('etag')
}

/** What to send as If-Range; weak tags do not speak of bytes. */
function validatorOf(facts: PartialFacts | undefined): string | undefined {
  if (facts?.etag?.startsWith('"') === true) return facts.etag
  return facts?.modified
}

const wholeNumber = (text = ''): number | undefined => (/^[0-9]{1,15}$/.test(text) ? Number(text) : undefined)

function rangeOf({ headers }: Answer): { start: number | undefined; total: number | undefined } {
  const [, start, total] =
    /^bytes ([0-9]{1,15})-[0-9]{1,15}\/([0-9]{1,15}|\*)$/.exec(headers['content-range'] ?? '') ?? []
  return { start: wholeNumber(start), total: wholeNumber(total) }
}

const tooLarge = (url: URL, size: number, most: number): RequestError =>
  new RequestError(
    'NO_SPACE',
    `${shown(url)} is too large: ${size} bytes or more, and ${Math.max(0, most)} fit here`,
  )

/** What cannot be mended by another try. What does not fit, and cannot be gone on with either, goes. */
async function final(thrown: unknown, partial: Partial): Promise<unknown> {
  const error = fullDisk(thrown) ?? thrown
  if (error instanceof RequestError && error.code === 'NO_SPACE' && validatorOf(partial.facts) === undefined)
    await partial.discard()
  return error
}
