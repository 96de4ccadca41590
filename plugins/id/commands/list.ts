import { type Call, type Column, each } from '../../../core/api.js'
import { learnerOf } from '../directory.js'
import type { Shelves } from '../documents.js'
import { adviceOn } from '../flags.js'
import type { Learner } from '../public.js'

type Row = Omit<Learner, 'pubkey'>

const columns: readonly Column<Row>[] = [
  { title: 'UID', text: ({ uid }) => uid.slice(0, 12) },
  { title: 'NICKNAME', text: ({ nickname }) => nickname },
  { title: 'SERIALS', text: ({ serials }) => serials.slice(-3).reverse().join(' ') },
  { title: 'LAST SEEN', text: ({ lastSeen }) => lastSeen.slice(0, 16).replace('T', ' ') },
  { title: 'FLAGS', text: ({ flags }) => flags.join(' ') },
]

/** `id list`: every key that registered. */
export async function list({ users }: Shelves, call: Call): Promise<void> {
  const rows: Row[] = []
  for await (const user of each(users)) {
    const { pubkey: _, ...row } = learnerOf(user)
    rows.push(row)
  }
  call.list(rows, columns)
  for (const row of rows) {
    for (const flag of row.flags) {
      const advice = adviceOn(flag, row)
      if (advice !== undefined) call.note(`${row.uid.slice(0, 12)} ${flag}: ${advice}`)
    }
  }
}
