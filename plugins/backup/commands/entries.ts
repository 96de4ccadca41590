import type { Call, Column } from '../../../core/api.js'
import type { JournalEntry } from '../journal/index.js'
import type { Desk } from './desk.js'
import { learnerOf } from './learner.js'
import { amount, time } from './text.js'

const columns: readonly Column<JournalEntry>[] = [
  { title: 'UID', text: ({ uid }) => uid },
  { title: 'TITLE', text: ({ title }) => title },
  { title: 'ACTIVITY', text: ({ activity }) => activity.replace(/^org\.(?:laptop|sugarlabs)\./, '') },
  { title: 'TYPE', text: ({ mime }) => mime },
  { title: 'CHANGED', text: ({ timestamp }) => timeOf(timestamp) },
  { title: 'SIZE', text: ({ hasData, size }) => (hasData ? amount(size) : '-') },
]

const page = 1000

/** `backup entries USER`: what is in a Journal, newest first. */
export async function entries(
  desk: Desk,
  {
    args,
    options,
    list,
    note,
  }: Pick<Call, 'list' | 'note'> & {
    args: { user: string }
    options: { at: string; search: string }
  },
): Promise<void> {
  const uid = await learnerOf(desk, args.user)
  const rows: JournalEntry[] = []
  let at = options.at === '' ? undefined : options.at
  for (let after: string | undefined; ; ) {
    const found = await desk.journals.entries(uid, { text: options.search, limit: page, after }, at)
    rows.push(...found.entries)
    at = found.snapshot
    after = found.next
    if (after === undefined) break
  }
  list(rows, columns)
  note(`snapshot ${at} of ${uid}`)
}

/** Laptops have clocks of their own, and some say 1970 or 2106. */
function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000)
  return seconds === 0 || Number.isNaN(date.getTime()) ? '' : time(date.toISOString())
}
