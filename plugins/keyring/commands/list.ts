import type { Call, Column } from '../../../core/api.js'
import type { State } from '../keys/states.js'
import { shortId } from '../keys/stored.js'
import type { Role } from '../public.js'
import type { Service } from '../service.js'
import { formatMoment, hasPassed } from '../wire/moment.js'

interface Row {
  readonly role: Role
  readonly id: string
  readonly state: State
  /** Whether it is the one that signs for its role, or, of this server's own, one that signs behind delegations. */
  readonly signs: boolean
  /** How many laptops a key of this server's own signs for behind delegations. */
  readonly laptops?: number
  readonly hasPrivate: boolean
  /** ISO 8601, UTC. */
  readonly addedAt: string
  readonly warning?: string
}

const columns: readonly Column<Row>[] = [
  { title: 'ROLE', text: ({ role }) => role },
  { title: 'ID', text: shortId },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'SIGNS', text: signsText },
  { title: 'ADDED', text: ({ addedAt }) => addedAt.slice(0, 16).replace('T', ' ') },
  { title: 'WARNING', text: ({ warning }) => (warning === undefined ? '' : 'master key on a school server') },
]

function signsText({ signs, laptops = 0 }: Row): string {
  if (laptops > 0) return `for ${laptops} ${laptops === 1 ? 'laptop' : 'laptops'}`
  return signs ? 'yes' : 'no'
}

/** `keyring list`: every key, in the order in which they were added. */
export function list(service: Service, call: Pick<Call, 'list' | 'note'>): void {
  const { vault, config } = service
  const mode = config['keyring-role']
  const behind = laptopsBehind(service)
  const rows = vault.list().map((key): Row => {
    const { role, publicKey, state, hasPrivate, addedAt } = key
    const laptops = behind.get(publicKey.id)?.size ?? 0
    const warning = vault.warningOf(key, mode)
    return {
      ...{ role, id: publicKey.id, state },
      signs: vault.signing(role) === key || laptops > 0,
      ...(role === 'server' && { laptops }),
      ...{ hasPrivate, addedAt },
      ...(warning !== undefined && { warning }),
    }
  })
  call.list(rows, columns)
  for (const warning of vault.warnings(mode)) call.note(warning)
}

/** Serials by the id of the key that signs for them with a delegation that counts. */
function laptopsBehind({ held, grounds, notary }: Service): ReadonlyMap<string, ReadonlySet<string>> {
  const now = formatMoment(notary.now())
  const behind = new Map<string, Set<string>>()
  for (const { role, serial, until, key } of held.all()) {
    if (hasPassed(until, now) || grounds.find(role, serial)?.key !== key) continue
    const serials = behind.get(key) ?? new Set()
    behind.set(key, serials.add(serial))
  }
  return behind
}
