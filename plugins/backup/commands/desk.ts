import type { Logger } from '../../../core/api.js'
import type { Users } from '../../id/public.js'
import type { Archivist } from '../archive/archivist.js'
import type { KeepRules } from '../archive/keeping.js'
import type { Layout } from '../archive/layout.js'
import type { KeptJournals } from '../journals.js'
import type { Keeper } from '../session/keeper.js'
import type { Ledger } from '../session/ledger.js'
import type { Marks } from '../session/marks.js'
import type { Turns } from '../session/turns.js'

/** What commands work with. */
export interface Desk {
  readonly users: Users
  readonly journals: KeptJournals
  readonly archivist: Archivist
  readonly keeper: Keeper
  readonly ledger: Ledger
  readonly marks: Marks
  readonly turns: Turns
  readonly layout: Layout
  readonly rules: KeepRules
  readonly log: Logger
  /** Called when objects were removed: what the archive takes is less now. */
  measured(): Promise<void>
}
