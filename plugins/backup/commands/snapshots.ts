import type { Call, Column } from '../../../core/api.js'
import type { SnapshotFacts } from '../archive/holdings.js'
import type { Desk } from './desk.js'
import { learnerOf } from './learner.js'
import { amount, time } from './text.js'

const columns: readonly Column<SnapshotFacts>[] = [
  { title: 'ID', text: ({ id }) => id },
  { title: 'TIME (UTC)', text: ({ at }) => time(at) },
  { title: 'ENTRIES', text: ({ entries }) => String(entries) },
  { title: 'FILES', text: ({ files }) => String(files) },
  { title: 'SIZE', text: ({ bytes }) => amount(bytes) },
  { title: 'ADDED', text: ({ added }) => amount(added) },
  { title: 'HELD', text: ({ why, damaged }) => damaged ?? why ?? '' },
  {
    title: 'NOTE',
    text: ({ unconfirmed }) => (unconfirmed === true ? 'unconfirmed: after a power cut' : ''),
  },
  { title: 'INCOMPLETE', text: ({ incomplete }) => incomplete ?? '' },
]

/** `backup snapshots USER`: oldest first. */
export async function snapshots(desk: Desk, who: string, call: Call): Promise<void> {
  call.list(await desk.journals.snapshots(await learnerOf(desk, who)), columns)
}

/** `backup hold USER`: keeps a snapshot whatever the rules say. */
export async function hold(
  desk: Desk,
  {
    args,
    options,
    print,
  }: Pick<Call, 'print'> & { args: { user: string }; options: { at: string; reason: string } },
): Promise<void> {
  const uid = await learnerOf(desk, args.user)
  await desk.keeper.settled(uid)
  const id = await desk.archivist.run('hold', {
    uid,
    at: options.at === '' ? 'latest' : options.at,
    why: options.reason,
  })
  print(`snapshot ${id} of ${uid} is on hold: it stays until "backup release ${args.user} --at ${id}"`)
}

/**
 * `backup release USER`: says that what the brake saw was meant, and ends its holds; with `--at`, whoever holds that
 * snapshot.
 */
export async function release(
  desk: Desk,
  { args, options, print }: Pick<Call, 'print'> & { args: { user: string }; options: { at: string } },
): Promise<void> {
  const uid = await learnerOf(desk, args.user)
  const id = options.at === '' ? undefined : options.at
  const { released, held } = await desk.archivist.run('release', { uid, id })
  const [left] = await desk.archivist.run('holdings', { uids: [uid] })
  if ((left?.braked.length ?? 0) === 0) await desk.ledger.lower(uid, 'mass-change', 'shared-key')
  if (released.length > 0) print(`released ${released.join(', ')} of ${uid}`)
  else
    print(id === undefined ? `the brake holds nothing of ${uid}` : `nothing of ${uid} was on hold by ${id}`)
  for (const one of held) print(`still on hold: ${one}; "backup release ${args.user} --at ${one}" ends that`)
}
