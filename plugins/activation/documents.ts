import type { CollectionSpec } from '../../core/api.js'

/** A laptop of the school, as an operator's lists have it. */
export interface Laptop {
  readonly serial: string
  /** A secret shared with the laptop; without it nothing can be signed for it. */
  readonly uuid?: string
  readonly school?: string
  readonly group?: string
  /** How long its leases last, in days. */
  readonly days?: number
  /** Its firmware knows only `sig01`. */
  readonly old?: true
}

/** A lease that came ready or was signed here, and until when it counts: the least of all its links. */
export interface Kept {
  /** Without a line end. */
  readonly line: string
  readonly until: string
}

/** The best leases of a laptop that were imported: one that every firmware reads, one that newer firmware reads. */
export interface Stock {
  readonly serial: string
  readonly sig01?: Kept
  readonly sig02?: Kept
}

export interface Theft {
  readonly serial: string
  readonly reason: string
  /** ISO 8601, UTC. */
  readonly at: string
  /** When an operator said that it is back; no imported list makes it stolen again. */
  readonly recovered?: string
}

/** Laptops that share the length of their leases. */
export interface Group {
  readonly name: string
  readonly days: number
}

/** When a laptop asked, and what it got. */
export interface Visits {
  readonly serial: string
  /** ISO 8601, UTC. */
  readonly first: string
  readonly last: string
  readonly count: number
  readonly answer: 'lease' | 'stolen' | 'nothing'
  /** The end of the last lease that it got. */
  readonly until?: string
}

/** The same, and what was last signed here for it. */
export interface KeptVisits extends Visits {
  readonly signed?: Kept
}

const laptops: CollectionSpec<Laptop> = { key: 'serial', indexes: ['group', 'school'] }
const stock: CollectionSpec<Stock> = { key: 'serial' }
const thefts: CollectionSpec<Theft> = { key: 'serial' }
const groups: CollectionSpec<Group> = { key: 'name' }
const visits: CollectionSpec<KeptVisits> = { key: 'serial' }

export const collections = { laptops, stock, thefts, groups, visits }
