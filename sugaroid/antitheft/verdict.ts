import type { Moment } from './moment.js'

/** The laptop takes it. */
export interface Valid {
  readonly verdict: 'valid'
  readonly reason: string
  /** When the first of all that it rests on runs out; `never` (docs/reference/protocols.md: Anti-theft, Lines). */
  readonly expiry: Moment
}

/** The laptop stops here and refuses (`invalid`), or finds nothing that is meant for it (`no-match`). */
export interface Rejected {
  readonly verdict: 'invalid' | 'no-match'
  readonly reason: string
}

/** What a laptop makes of something signed. `reason` is a sentence for people, without secrets. */
export type Verdict = Valid | Rejected

export const invalid = (reason: string): Rejected => ({ verdict: 'invalid', reason })
export const noMatch = (reason: string): Rejected => ({ verdict: 'no-match', reason })
