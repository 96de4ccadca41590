/** A line that was not taken, and why. */
export interface Refusal {
  /** Counted from 1. */
  readonly line: number
  /** Only when it is one. */
  readonly serial?: string | undefined
  /** Goes behind the line's number and serial: `ended at 20250101T000000Z`. Holds no uuid. */
  readonly reason: string
}

/** Refusals that are kept of a file; the others are counted. */
const mostKept = 50

/** Lines that were refused. */
export class Refusals {
  #count = 0
  readonly #first: Refusal[] = []

  get count(): number {
    return this.#count
  }

  /** The first fifty that were found, by line. */
  get first(): readonly Refusal[] {
    return [...this.#first].sort((a, b) => a.line - b.line)
  }

  add(refusal: Refusal): void {
    this.#count += 1
    if (this.#first.length < mostKept) this.#first.push(refusal)
  }
}

/** What a reader made of a file. */
export interface Reading<T> {
  readonly found: readonly T[]
  /** Lines that say again what another line says. */
  readonly repeated: number
  readonly refusals: Refusals
}

/** What is taken in. They are taken in this order: what comes later may be checked with what came before. */
export const kinds = ['key', 'laptops', 'delegations', 'leases', 'stolen'] as const
export type Kind = (typeof kinds)[number]

/** What became of a file. */
export interface Outcome {
  /** Of the file, for people. */
  readonly name: string
  /** Undefined when it was refused as a whole, or before anybody could know. */
  readonly kind?: Kind
  readonly taken: number
  /** Lines that say what is known already, or leases that end sooner than those that are here. */
  readonly unchanged: number
  readonly refused: number
  /** The first of the refused lines. */
  readonly refusals: readonly Refusal[]
  /** Why the file was refused as a whole. */
  readonly fault?: string
  /** What an operator should know besides. */
  readonly notes: readonly string[]
}

export type Refused = Outcome & { readonly fault: string }

/** The outcome of a file that was refused as a whole. @param note what to do about it */
export const refusedWhole = (name: string, fault: string, note?: string): Refused => ({
  ...{ name, fault, taken: 0, unchanged: 0, refused: 0, refusals: [] },
  notes: note === undefined ? [] : [note],
})

/** Whether all of it went in. */
export const isWhole = ({ fault, refused }: Outcome): boolean => fault === undefined && refused === 0

/** `leases.sig: 412 taken, 3 unchanged, 2 refused` */
export function sum({ name, fault, taken, unchanged, refused }: Outcome): string {
  if (fault !== undefined) return `${name}: refused: ${fault}`
  return `${name}: ${taken} taken, ${unchanged} unchanged, ${refused} refused`
}

/** `line 7: SHC94700123: ended at 20250101T000000Z` */
export const sentence = ({ line, serial, reason }: Refusal): string =>
  `line ${line}: ${serial === undefined ? '' : `${serial}: `}${reason}`

/** What there is to say of a file beside its sum, a line each. */
export function details({ name, notes, refusals, refused }: Outcome): string[] {
  const lines = refusals.map((refusal) => `${name}: ${sentence(refusal)}`)
  const more = refused - refusals.length
  if (more > 0) lines.push(`${name}: and ${more} more lines are refused`)
  return [...lines, ...notes.map((note) => `${name}: ${note}`)]
}
