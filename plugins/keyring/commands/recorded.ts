import { type Call, SystemError } from '../../../core/api.js'
import type { Service } from '../service.js'
import { operator } from './input.js'

/**
 * Changes keys, and has the audit log hold it first: a key that a power cut leaves behind stands in a line of the log.
 * A change that fails behind its line is followed by a line that says so.
 * @param what `generate`, `import`
 * @param change calls `noted` with the key's id before anything of it is written
 * @throws SystemError when the log cannot be written: then nothing is changed
 */
export async function recorded<T>(
  { audit }: Service,
  what: string,
  change: (noted: (key: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  let begun: string | undefined
  try {
    return await change(async (key) => {
      await audit.append({ by: operator, what: `keyring ${what}`, key })
      begun = key
    })
  } catch (error) {
    if (begun !== undefined)
      await audit.append({ by: operator, what: `keyring ${what} failed`, key: begun }).catch(() => undefined)
    throw error
  }
}

/**
 * The same for what must not wait for the log, such as to mark a key that has leaked: that the log cannot be written is
 * only said.
 */
export async function recordedIfPossible(
  { audit }: Service,
  { note }: Pick<Call, 'note'>,
  { what, key }: { what: string; key: string },
  change: () => Promise<void>,
): Promise<void> {
  let unsaid: SystemError | undefined
  try {
    await audit.append({ by: operator, what: `keyring ${what}`, key })
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    unsaid = error
  }
  await change()
  if (unsaid !== undefined) note(`done, but the audit log does not say so: ${unsaid.message}`)
}
