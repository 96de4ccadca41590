import { type Call, type Column, RequestError } from '../../../core/api.js'
import type { Asking } from '../archive/archivist.js'
import type { Drilled } from '../archive/drill.js'
import type { Desk } from './desk.js'
import { telling } from './progress.js'

const dataError = 65

const columns: readonly Column<Drilled>[] = [
  { title: 'UID', text: ({ uid }) => uid.slice(0, 12) },
  { title: 'SNAPSHOT', text: ({ snapshot }) => snapshot },
  { title: 'FILES', text: ({ files }) => String(files) },
  { title: 'RESULT', text: ({ wrong }) => (wrong.length === 0 ? 'as it was' : wrong.join('; ')) },
]

/** `backup drill [N]`: restores some Journals for a trial. @returns 65 when one did not come back as it was */
export async function drill(
  desk: Desk,
  call: Pick<Call, 'list' | 'note' | 'signal'> & { args: { n?: string | undefined } },
): Promise<number> {
  const results = await drillSome(desk, countOf(call.args.n ?? '3'), telling(call, 'restored'))
  call.list(results, columns)
  return results.every(({ wrong }) => wrong.length === 0) ? 0 : dataError
}

function countOf(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new RequestError('USAGE', `"${text}" is no number of Journals`, {
    hint: 'write 1 or more, or nothing for 3',
  })
}

/** Restores the newest snapshots of so many learners, chosen by lot, and compares them. */
export async function drillSome(
  { archivist, keeper, ledger, log }: Desk,
  count: number,
  asking: Asking = {},
): Promise<Drilled[]> {
  await keeper.settled()
  const uids = (await archivist.run('holdings', {}))
    .filter(({ snapshots }) => snapshots > 0)
    .map(({ uid }) => uid)
  const chosen = uids
    .map((uid) => ({ uid, lot: Math.random() }))
    .sort((a, b) => a.lot - b.lot)
    .slice(0, count)
  const results = await archivist.run('drill', { uids: chosen.map(({ uid }) => uid) }, asking)
  for (const { uid, wrong, snapshot } of results) {
    if (wrong.length === 0) continue
    log.error({ uid, snapshot, wrong }, `a drill failed: ${snapshot} of ${uid} did not come back as it was`)
    await ledger.raise(uid, 'damaged', wrong[0] ?? '')
  }
  return results
}
