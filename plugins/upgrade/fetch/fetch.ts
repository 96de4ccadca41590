import type { Build } from '../../rsync/public.js'
import { minutes } from './failures.js'

/** `looking`: at the sources; `waiting`: for others that are being fetched. */
export type Stage = 'looking' | 'waiting' | 'reading' | 'unpacking'

/** How it ended: with a build, or with the reason why there is none. */
export type End = { readonly build: Build } | { readonly error: Error }

const elsewhere = {
  looking: 'is being looked for',
  waiting: 'waits until others are fetched',
  unpacking: 'is being unpacked',
} as const

/** Bytes that are unpacked in a millisecond, on a small machine. */
const unpacked = 5000

/** A build that is being fetched, for however many wait for it. */
export class Fetch {
  readonly name: string
  /** The network address that asked for it first; undefined when nobody did, or an operator. */
  readonly asker: string | undefined
  stage: Stage = 'looking'
  /** Where it comes from, without passwords; empty while it is being looked for. */
  source = ''
  bytes = 0
  total: number | undefined
  end: End | undefined
  /** When it began, by a clock that nobody sets, and how much was there by then. */
  #began: { at: number; bytes: number } | undefined
  readonly #waiting = new Set<(end: End) => void>()

  constructor(name: string, asker?: string) {
    this.name = name
    this.asker = asker
  }

  /** Those who wait for it. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Begins to be read, from its first source or from another. */
  read(): void {
    this.stage = 'reading'
    this.bytes = 0
    this.total = undefined
    this.#began = undefined
  }

  progress(bytes: number, total: number | undefined): void {
    this.#began ??= { at: performance.now(), bytes }
    this.bytes = bytes
    this.total = total
  }

  /** Whole percents of what is to be read; undefined where nobody knows. */
  get percent(): number | undefined {
    if (this.total === undefined || this.total === 0) return undefined
    return Math.min(100, Math.floor((this.bytes / this.total) * 100))
  }

  /** What goes on, in words: "is being fetched (41 %)". */
  get words(): string {
    if (this.stage !== 'reading') return elsewhere[this.stage]
    const { percent } = this
    return `is being fetched (${percent === undefined ? `${Math.floor(this.bytes / 1e6)} MB so far` : `${percent} %`})`
  }

  /** When to come back, in words: "try again in about 10 minutes". */
  get advice(): string {
    const left = this.#minutesLeft()
    return `try again in ${left === undefined ? 'a few minutes' : `about ${minutes(left)}`}`
  }

  /** Calls back when it ends, at once if it has. @returns takes it back */
  ended(callback: (end: End) => void): () => void {
    if (this.end !== undefined) callback(this.end)
    else this.#waiting.add(callback)
    return () => this.#waiting.delete(callback)
  }

  finish(end: End): void {
    this.end = end
    for (const callback of this.#waiting) callback(end)
    this.#waiting.clear()
  }

  /** By how fast it came so far; undefined where nobody can know. */
  #minutesLeft(): number | undefined {
    if (this.stage === 'looking') return 1
    const began = this.#began
    if (this.stage !== 'reading' || began === undefined || this.total === undefined) return undefined
    const came = this.bytes - began.bytes
    if (came <= 0) return undefined
    const since = performance.now() - began.at
    const left = ((this.total - this.bytes) / came) * since + this.total / unpacked
    return Math.min(24 * 60, Math.max(1, Math.ceil(left / 60_000)))
  }
}
