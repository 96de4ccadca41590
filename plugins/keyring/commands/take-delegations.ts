import type { Call } from '../../../core/api.js'
import type { DelegatedRole } from '../delegations/held.js'
import type { Service } from '../service.js'
import { onlyFile, operator } from './input.js'

type Take = Pick<Call, 'files' | 'note' | 'print'> & { options: { role: DelegatedRole } }

const dataError = 65

/** `keyring take-delegations FILE`. @returns 65 when a line was refused */
export async function takeDelegations({ keyring }: Service, call: Take): Promise<number> {
  const bytes = await onlyFile(call)
  const { taken, unchanged, refused } = await keyring.takeDelegations(
    call.options.role,
    bytes.toString('utf8'),
    operator,
  )
  for (const { line, serial, reason } of refused)
    call.note(`refused: line ${line}${serial === undefined ? '' : ` (${serial})`} ${reason}`)
  call.print(`${taken.length} delegations taken, ${unchanged} as they were, ${refused.length} refused`)
  return refused.length === 0 ? 0 : dataError
}
