/** What other plugins may use of activation. */
import { token } from '../../core/api.js'

/** What laptops are told besides their leases. */
export interface Hints {
  /** Builds that laptops are told to have: the texts of hints whose names end in "build", each once. */
  builds(): readonly string[]
}

export const Hints = token<Hints>('activation/hints@1')
