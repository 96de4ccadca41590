import type { Call, Column } from '../../../core/api.js'
import { timeText } from '../calendar/day.js'
import { said } from '../calendar/ends.js'
import type { Stock, Visits } from '../documents.js'
import { isStolen } from '../roll/entry.js'
import { everyone } from '../roll/everyone.js'
import type { Service } from '../service.js'

interface Row {
  readonly serial: string
  readonly school: string | null
  readonly group: string | null
  /** How long its leases last. */
  readonly days: number
  readonly old: boolean
  /** Whether its uuid is known, which itself is nobody's business. */
  readonly uuid: boolean
  readonly stolen: boolean
  /** When its ready leases end. */
  readonly ready: { readonly [K in Exclude<keyof Stock, 'serial'>]?: string }
  readonly visit: Omit<Visits, 'serial'> | null
}

const columns: readonly Column<Row>[] = [
  { title: 'SERIAL', text: ({ serial }) => serial },
  { title: 'SCHOOL', text: ({ school }) => school ?? '' },
  { title: 'GROUP', text: ({ group }) => group ?? '' },
  { title: 'DAYS', text: ({ days }) => String(days) },
  { title: 'READY UNTIL', text: ({ ready }) => Object.values(ready).map(said).join(', ') },
  { title: 'ASKED', text: ({ visit }) => (visit === null ? '' : timeText(new Date(visit.last))) },
  { title: 'LEASE UNTIL', text: ({ visit }) => (visit?.until === undefined ? '' : said(visit.until)) },
  {
    title: 'NOTES',
    text: ({ stolen, uuid, old }) =>
      [stolen ? 'stolen' : '', uuid ? '' : 'no uuid', old ? 'sig01 only' : '']
        .filter((note) => note !== '')
        .join(', '),
  },
]

/** `activation list`: every laptop that is known, by serial. */
export function list(service: Service, call: Pick<Call, 'list'>): void {
  const rows = [...everyone(service.sources)].map((entry): Row => {
    const { serial, laptop, stock } = entry
    const { serial: _, ...visit } = service.visits.get(serial) ?? { serial }
    return {
      serial,
      school: laptop?.school ?? null,
      group: laptop?.group ?? null,
      days: service.planner.daysOf(laptop),
      old: laptop?.old === true,
      uuid: laptop?.uuid !== undefined || service.keyring?.basis('lease', serial)?.uuid !== undefined,
      stolen: isStolen(entry),
      ready: {
        ...(stock?.sig01 && { sig01: stock.sig01.until }),
        ...(stock?.sig02 && { sig02: stock.sig02.until }),
      },
      visit: 'last' in visit ? visit : null,
    }
  })
  rows.sort((a, b) => (a.serial < b.serial ? -1 : 1))
  call.list(rows, columns)
}
