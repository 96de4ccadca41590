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

/** Minutes that are named where nobody can know. */
const unknown = 10

/** A build that is being fetched, for however many wait for it. */
export class Fetch {
  readonly name: string
  readonly since = Date.now()
  stage: Stage = 'looking'
  /** Where it comes from, without passwords; empty while it is being looked for. */
  source = ''
  bytes = 0
  total: number | undefined
  end: End | undefined
  #began: { at: number; bytes: number } | undefined
  readonly #waiting = new Set<(end: End) => void>()

  constructor(name: string) {
    this.name = name
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
    this.#began ??= { at: Date.now(), bytes }
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
    return `try again in about ${minutes(this.#minutesLeft())}`
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

  #minutesLeft(): number {
    if (this.stage === 'looking') return 1
    if (this.stage === 'unpacking') return 2
    const began = this.#began
    const came = began === undefined ? 0 : this.bytes - began.bytes
    if (began === undefined || came <= 0 || this.total === undefined) return unknown
    const left = ((this.total - this.bytes) / came) * (Date.now() - began.at)
    // It is unpacked after that.
    return Math.min(24 * 60, Math.ceil(left / 60_000) + 1)
  }
}
