import type { Call, Column } from '../../../core/api.js'
import type { JournalEntry } from '../journal/index.js'
import type { Desk } from './desk.js'
import { learnerOf } from './learner.js'
import { telling } from './progress.js'
import { amount, tellUnread, time } from './text.js'

/** An entry, and the snapshot that it is shown from. */
type Shown = JournalEntry & { readonly snapshot: string }

const columns: readonly Column<Shown>[] = [
  { title: 'UID', text: ({ uid }) => uid },
  { title: 'TITLE', text: ({ title }) => title },
  { title: 'ACTIVITY', text: ({ activity }) => activity.replace(/^org\.(?:laptop|sugarlabs)\./, '') },
  { title: 'TYPE', text: ({ mime }) => mime },
  { title: 'CHANGED', text: ({ timestamp }) => timeOf(timestamp) },
  { title: 'SIZE', text: ({ hasData, size }) => (hasData ? amount(size) : '-') },
]

const page = 1000

type Entries = Pick<Call, 'list' | 'note' | 'signal'> & {
  args: { user: string }
  options: { at: string; search: string }
}

/** `backup entries USER`: what is in a Journal, newest first; a search goes through all snapshots. */
export async function entries(desk: Desk, call: Entries): Promise<void> {
  const { args, options, list, note } = call
  const uid = await learnerOf(desk, args.user)
  const rows: Shown[] = []
  let at = options.at === '' ? undefined : options.at
  for (let after: string | undefined; ; ) {
    const found = await desk.journals.entries(uid, { text: options.search, limit: page, after }, at)
    const { snapshot } = found
    rows.push(...found.entries.map((entry) => ({ ...entry, snapshot })))
    at = snapshot
    after = found.next
    if (after === undefined) break
  }
  if (options.search === '' || options.at !== '') {
    list(rows, columns)
    note(`snapshot ${at} of ${uid}`)
    if (options.at === '') note('entries that were deleted: --search WORDS looks through all snapshots')
    return
  }
  const past = await desk.archivist.run('past', { uid, text: options.search }, telling(call, 'searched'))
  const here = at
  const lastIn: Column<Shown> = {
    title: 'LAST IN',
    text: ({ snapshot }) => (snapshot === here ? '' : snapshot),
  }
  list([...rows, ...past.entries], [...columns, lastIn])
  note(`snapshot ${at} of ${uid}, and all others`)
  tellUnread(past.unread, note)
  if (past.isCut) note('more entries were found in older snapshots, and are left out: search for more words')
  if (past.entries.length > 0) {
    note(
      `those with LAST IN are not in the Journal any more: "backup restore ${uid.slice(0, 12)} --entry UID --to ..." takes them from there`,
    )
  }
}

/** Laptops have clocks of their own, and some say 1970 or 2106. */
function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000)
  return seconds === 0 || Number.isNaN(date.getTime()) ? '' : time(date.toISOString())
}
