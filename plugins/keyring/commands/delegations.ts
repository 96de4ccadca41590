import type { Call, Column } from '../../../core/api.js'
import type { DelegatedRole } from '../delegations/held.js'
import type { Service } from '../service.js'
import { formatMoment, hasPassed, type Moment } from '../wire/moment.js'

interface Row {
  readonly serial: string
  readonly role: DelegatedRole
  readonly until: Moment
  /** Id of this server's key. */
  readonly key: string
  /** Id of the key that it goes back to. */
  readonly from: string
  readonly takenAt: string
  /** Why it is of no use now; empty when it is. */
  readonly note: string
}

const columns: readonly Column<Row>[] = [
  { title: 'SERIAL', text: ({ serial }) => serial },
  { title: 'ROLE', text: ({ role }) => role },
  { title: 'UNTIL (UTC)', text: ({ until }) => until },
  { title: 'KEY', text: ({ key }) => key.slice(0, 12) },
  { title: 'FROM', text: ({ from }) => from.slice(0, 12) },
  { title: 'TAKEN (UTC)', text: ({ takenAt }) => takenAt.slice(0, 16).replace('T', ' ') },
  { title: 'NOTE', text: ({ note }) => note },
]

/** `keyring delegations`: those held, by serial; without uuids. */
export function delegations({ held, grounds, notary }: Service, call: Pick<Call, 'list'>): void {
  const now = formatMoment(notary.now())
  const rows = [...held.all()].map(({ serial, role, until, key, root, takenAt }): Row => {
    const isUsable = grounds.find(role, serial) !== undefined
    const note = hasPassed(until, now) ? 'ended' : isUsable ? '' : 'one of its keys does not count'
    return { serial, role, until, key, from: root, takenAt, note }
  })
  rows.sort((a, b) => (a.serial === b.serial ? (a.role < b.role ? -1 : 1) : a.serial < b.serial ? -1 : 1))
  call.list(rows, columns)
}
