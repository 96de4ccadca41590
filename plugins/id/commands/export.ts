import { type Call, each, printableJson } from '../../../core/api.js'
import { writeCsv } from '../csv.js'
import type { Shelves, UserDoc } from '../documents.js'

const columns = [
  'uid',
  'nickname',
  'pubkey',
  'serials',
  'uuids',
  'registeredAt',
  'lastSeen',
  'aliasOf',
] as const

/** A registration as it is exported; `id import` takes it back. */
export type Exported = Pick<UserDoc, (typeof columns)[number]>

/** `id export`: every registration, as JSON or CSV. */
export async function exportUsers({ users }: Shelves, call: Call, format: 'json' | 'csv'): Promise<void> {
  const rows: Exported[] = []
  for await (const user of each(users)) {
    rows.push(
      Object.fromEntries(
        columns.filter((name) => user[name] !== undefined).map((name) => [name, user[name]]),
      ) as unknown as Exported,
    )
  }
  if (format === 'json') {
    call.write(`${printableJson(rows)}\n`)
    return
  }
  const cells = rows.map((row) => ({
    ...row,
    aliasOf: row.aliasOf ?? '',
    serials: row.serials.join(' '),
    uuids: row.uuids.join(' '),
  }))
  call.write(writeCsv(columns, cells))
}
