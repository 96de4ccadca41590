import type { Moment } from '../../keyring/public.js'

/** What a laptop that asks is given. `why` is for people, and holds no secret. */
export type Answer =
  | {
      readonly kind: 'lease'
      /** Without a line end. */
      readonly line: string
      readonly until: Moment
      readonly from: 'stored' | 'fresh'
      readonly why: string
    }
  | { readonly kind: 'stolen'; readonly why: string }
  | { readonly kind: 'nothing'; readonly why: string }

/** What an answer would be. */
export interface Prospect {
  readonly kind: Answer['kind']
  readonly until?: Moment
  readonly why: string
}
