import { type Call, SystemError } from '../../../core/api.js'
import type { Service } from '../service.js'
import { operator } from './input.js'

/** Has the audit log hold what was done to the keys. It is done by then: that the log cannot be written is only said. */
export async function remember(
  { audit }: Service,
  { note }: Pick<Call, 'note'>,
  what: string,
  key: string,
): Promise<void> {
  try {
    await audit.append({ by: operator, what: `keyring ${what}`, key })
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    note(`done, but the audit log does not say so: ${error.message}`)
  }
}
