import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RequestError, systemCode } from '../../../core/api.js'
import { explained, unwritten } from './fault.js'
import { Filter, type Owners } from './filter.js'
import type { Limits } from './limits.js'
import { Notes } from './notes.js'
import { PackedFile, type Sums } from './packed-file.js'
import { enoughToTell, unpackerOf } from './packing.js'
import { type Ended, type Program, start } from './program.js'
import { incomplete } from './refusal.js'
import type { Tally } from './tally.js'

export interface Unpacking {
  /** A tar, packed with xz, lzma, bzip2 or gzip or not at all. */
  readonly packed: string
  /** Where its content comes: a directory that is empty, and nobody else's. */
  readonly to: string
  readonly owners: Owners
  /** A file, not there yet, for whose each entry is; see `own`. */
  readonly notes: string
  readonly limits: Limits
  readonly signal: AbortSignal
  /** Told of the bytes of the packed tree that are done. */
  progress(done: number, size: number): void
  /** Told of the bytes of the tree that GNU tar has been given. */
  unpacked?(bytes: number): void
}

export interface Unpacked {
  readonly tally: Tally
  /** Of the packed tree. */
  readonly sums: Sums
}

const tarArguments = ['-x', '-p', '-f', '-', '--no-same-owner', '--delay-directory-restore']

/**
 * Unpacks a tree that may be hostile, in one go: file, unpacker, filter, GNU tar. What comes to the disk is the server's
 * own, files 0600 and directories 0700, whatever the tree says. What is unpacked when it fails is left where it is.
 * @throws RequestError REQUEST_INVALID for what is refused or broken, NOT_FOUND; SystemError NO_SPACE, NOT_WRITABLE,
 *   PROGRAM_MISSING, DAMAGED; the reason of `signal`
 */
export async function unpackTree(spec: Unpacking): Promise<Unpacked> {
  const file = await PackedFile.open(spec.packed)
  try {
    const tally = await unpackFile(file, spec)
    return { tally, sums: await file.sums() }
  } catch (error) {
    throw explained(error, spec.to)
  } finally {
    await file.close()
  }
}

async function unpackFile(file: PackedFile, spec: Unpacking): Promise<Tally> {
  const { signal } = spec
  const unpacker = unpackerOf(await file.head(enoughToTell))
  const notes = await Notes.create(spec.notes)
  const filter = new Filter({ ...spec, size: file.size, own: (path, one) => notes.add(path, one) })
  const work = new Work(filter, notes, (bytes) => spec.unpacked?.(bytes))
  try {
    const tar = start('tar', tarArguments, { stdio: ['pipe', 'ignore', 'pipe'], cwd: spec.to, signal })
    const source = told(file, spec.progress)
    if (unpacker === undefined) await work.run(source, tar)
    else {
      const { program, args } = unpacker
      await work.run(source, tar, start(program, args, { stdio: 'pipe', signal }))
    }
    signal.throwIfAborted()
    work.check(spec.to)
  } finally {
    await notes.close({ isWhole: work.isDone })
  }
  return filter.tally
}

async function* told(file: PackedFile, progress: Unpacking['progress']): AsyncGenerator<Buffer> {
  for await (const chunk of file.rest()) {
    yield chunk
    progress(file.done, file.size)
  }
}

/** One run of the programs, and what came of each. When one stops, the others do by themselves: their pipes end. */
class Work {
  isDone = false
  readonly #filter: Filter
  readonly #notes: Notes
  #faults: unknown[] = []
  /** Whether the filter has seen all that the unpacker made. */
  #isRead = false
  readonly #unpacked: (bytes: number) => void
  #unpacker: Ended | undefined
  #tar: Ended | undefined

  constructor(filter: Filter, notes: Notes, unpacked: (bytes: number) => void) {
    this.#filter = filter
    this.#notes = notes
    this.#unpacked = unpacked
  }

  /** Runs to the end, well or not. @throws SystemError PROGRAM_MISSING */
  async run(source: AsyncIterable<Buffer>, tar: Program, unpacker?: Program): Promise<void> {
    const { stdin, stdout } = unpacker?.process ?? {}
    const flows = [this.#filtered(stdout ?? source, tar)]
    if (stdin != null) flows.push(pipeline(source, stdin))
    for (const { status, ...flow } of await Promise.allSettled(flows)) {
      if (status === 'rejected' && 'reason' in flow) this.#faults.push(flow.reason)
    }
    this.#tar = await tar.ended
    this.#unpacker = await unpacker?.ended
  }

  #filtered(from: Readable | AsyncIterable<Buffer>, tar: Program): Promise<void> {
    return pipeline(
      from,
      (chunks: AsyncIterable<Buffer>) => this.#filterAll(chunks),
      tar.process.stdin as Writable,
    )
  }

  async *#filterAll(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const out: Buffer[] = []
    let given = 0
    for await (const chunk of chunks) {
      this.#filter.read(chunk, out)
      if (out.length > 0) {
        const piece = joined(out)
        yield piece
        given += piece.length
        this.#unpacked(given)
      }
      if (this.#notes.isFull) await this.#notes.write()
    }
    this.#isRead = true
    this.#filter.end(out)
    yield joined(out)
  }

  /** What went wrong, if anything did: the first cause, of all that follows from it. @throws */
  check(to: string): void {
    // When a program ends early, why is in what it said, and not in the broken pipe.
    const faults = this.#faults.filter((fault) => !isBrokenPipe(fault))
    const ours = faults.find((fault) => !(fault instanceof RequestError))
    if (ours !== undefined) throw ours
    const [refused] = faults
    if (refused !== undefined && !this.#isRead) throw refused
    const unpacker = this.#unpacker
    if (this.#isRead && unpacker !== undefined && unpacker.code !== 0) throw broken(unpacker)
    if (refused !== undefined) throw refused
    if (this.#tar?.code !== 0) throw unwritten(to, this.#tar ?? { code: null, said: '' })
    this.isDone = true
  }
}

/** A chunk in the middle of a large file is handed on as it is. */
function joined(pieces: Buffer[]): Buffer {
  const [first] = pieces
  const whole = pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces)
  pieces.length = 0
  return whole
}

const isBrokenPipe = (fault: unknown): boolean =>
  ['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET'].includes(systemCode(fault) ?? '')

const broken = ({ said, code }: Ended): RequestError =>
  incomplete(`it cannot be unpacked: ${said === '' ? `its unpacker ended with ${code}` : said}`)
