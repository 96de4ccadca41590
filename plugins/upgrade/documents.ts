import type { CollectionSpec } from '../../core/api.js'

/** When a build was last of use, and whether it stays whatever happens. */
export interface UseDoc {
  readonly name: string
  /** ISO 8601, UTC. */
  readonly installedAt: string
  /** A laptop asked for it, or fetched it. */
  readonly usedAt: string
  /** The number of that use, counted over all builds: clocks are set, and stop without a battery. */
  readonly rank?: number
  readonly sticky?: true
  /** The source that it came from, without passwords. */
  readonly source: string
}

const uses: CollectionSpec<UseDoc> = { key: 'name' }

export const collections = { uses }
