import type { Call, Column } from '../../../core/api.js'
import type { State } from '../keys/states.js'
import { shortId } from '../keys/stored.js'
import type { Role } from '../public.js'
import type { Service } from '../service.js'

interface Row {
  readonly role: Role
  readonly id: string
  readonly state: State
  /** Whether it is the one that signs for its role. */
  readonly signs: boolean
  readonly hasPrivate: boolean
  /** ISO 8601, UTC. */
  readonly addedAt: string
  readonly warning?: string
}

const columns: readonly Column<Row>[] = [
  { title: 'ROLE', text: ({ role }) => role },
  { title: 'ID', text: shortId },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'SIGNS', text: ({ signs }) => (signs ? 'yes' : 'no') },
  { title: 'ADDED', text: ({ addedAt }) => addedAt.slice(0, 16).replace('T', ' ') },
  { title: 'WARNING', text: ({ warning }) => (warning === undefined ? '' : 'master key on a school server') },
]

/** `keyring list`: every key, in the order in which they were added. */
export function list({ vault, config }: Service, call: Pick<Call, 'list' | 'note'>): void {
  const mode = config['keyring-role']
  const rows = vault.list().map((key): Row => {
    const { role, publicKey, state, hasPrivate, addedAt } = key
    const warning = vault.warningOf(key, mode)
    return {
      ...{ role, id: publicKey.id, state, signs: vault.signing(role) === key, hasPrivate, addedAt },
      ...(warning !== undefined && { warning }),
    }
  })
  call.list(rows, columns)
  for (const warning of vault.warnings(mode)) call.note(warning)
}
