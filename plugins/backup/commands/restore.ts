import { type Call, type Delivery, RequestError } from '../../../core/api.js'
import type { Asking } from '../archive/archivist.js'
import type { Result } from '../archive/jobs.js'
import type { Restoring } from '../archive/restore.js'
import { stickCompanions } from '../journal/companions.js'
import type { Desk } from './desk.js'
import { checkOptions, type RestoreOptions, warningsOf } from './forms.js'
import { learnerOf } from './learner.js'
import { Mailbox } from './mailbox.js'
import { telling } from './progress.js'
import { amount, tellUnread } from './text.js'

type Restore = Pick<Call, 'print' | 'note' | 'signal' | 'deliver'> & {
  args: { user: string }
  options: RestoreOptions
}

/** Entries that lie in one snapshot; everything without them. */
interface Part {
  readonly at: string | undefined
  readonly entries: readonly string[] | undefined
}

const dataError = 65
/** File names that are printed; a stick may get thousands. */
const mostNames = 20

/** `backup restore USER --to PATH`: hands out a Journal, or entries of it. @returns 65 when something of it is lost */
export async function restore(desk: Desk, call: Restore): Promise<number> {
  const { args, options } = call
  checkOptions(options)
  const uid = await learnerOf(desk, args.user)
  await desk.keeper.settled(uid)
  const parts = await partsOf(desk, call, uid)
  for (const line of warningsOf(options)) call.note(line)
  let isWhole = true
  for (const part of parts) isWhole = (await restorePart(desk, call, uid, part)) && isWhole
  return isWhole ? 0 : dataError
}

/** @throws RequestError NOT_FOUND for an entry that no snapshot has */
async function partsOf(desk: Desk, { options, note }: Restore, uid: string): Promise<Part[]> {
  const at = options.at === '' ? undefined : options.at
  const entries = [...new Set(options.entry)]
  if (entries.length === 0) return [{ at, entries: undefined }]
  if (at !== undefined) return [{ at, entries }]
  const { found, first, unread } = await desk.archivist.run('locate', { uid, entries })
  tellUnread(unread, note)
  const bySnapshot = new Map<string, string[]>()
  for (const entry of entries) {
    const snapshot = found.get(entry)
    if (snapshot === undefined) {
      throw new RequestError('NOT_FOUND', `there is no entry ${entry} in any snapshot`, {
        hint: `"sugar-server backup entries ${uid.slice(0, 12)} --search WORDS" looks through all`,
      })
    }
    if (snapshot !== first) note(`entry ${entry} was last in snapshot ${snapshot}`)
    bySnapshot.set(snapshot, [...(bySnapshot.get(snapshot) ?? []), entry])
  }
  if (bySnapshot.size > 1 && options.form !== 'stick') {
    throw new RequestError('REQUEST_INVALID', 'these entries lie in different snapshots', {
      hint: 'restore one at a time, or use --form stick',
    })
  }
  return [...bySnapshot].map(([snapshot, some]) => ({ at: snapshot, entries: some }))
}

/** @returns whether nothing of it is lost */
async function restorePart(desk: Desk, call: Restore, uid: string, part: Part): Promise<boolean> {
  const { options, print, note } = call
  const { to, form } = options
  const { snapshot, files, bytes, skipped, lost, stick } = await send(desk, call, {
    ...{ uid, ...part, to, documents: options.documents },
    form: form === 'stick' ? form : undefined,
    home: options.home === '' ? undefined : options.home,
  })
  for (const path of skipped) note(`left out: ${path} is a link that leads out of the Journal`)
  for (const name of lost) note(`left out: ${name} is damaged`)
  const { entries } = part
  desk.log.info({ uid, snapshot, entries }, `restored ${snapshot} of ${uid} for an operator`)
  const [entry, ...more] = entries ?? []
  if (stick !== undefined) {
    const { names, empty } = stick
    print(
      `${to}: ${names.length === 1 ? '1 entry' : `${names.length} entries`}, ${amount(bytes)} of snapshot ${snapshot}`,
    )
    for (const name of names.slice(0, mostNames)) print(`  ${name}`)
    if (names.length > mostNames) print(`  and ${names.length - mostNames} more`)
    if (empty > 0) note(`entries without content, which lie there as empty files: ${empty}`)
  } else if (entry !== undefined && more.length === 0) print(`${to}: entry ${entry} of snapshot ${snapshot}`)
  else print(`${to}: ${files} files, ${amount(bytes)} of snapshot ${snapshot}`)
  const [holding] = await desk.archivist.run('holdings', { uids: [uid] })
  if (part.at === undefined && holding?.braked.includes(snapshot) === true) {
    note('this is what was there before most of the Journal went; --at latest gives the newest')
  }
  const facts = (await desk.archivist.run('snapshots', { uid })).find(({ id }) => id === snapshot)
  if (facts?.unconfirmed === true) {
    note(
      'it was taken after the machine had stopped, before the laptop came again: files may be torn; --at names another one',
    )
  }
  await noteIncomplete(desk, call, uid, snapshot)
  return lost.length === 0
}

/** Says what the laptop left out of a snapshot, and which one has all that it had then. */
async function noteIncomplete(
  { archivist, ledger }: Pick<Desk, 'archivist' | 'ledger'>,
  { note }: Pick<Call, 'note'>,
  uid: string,
  snapshot: string,
): Promise<void> {
  const all = await archivist.run('snapshots', { uid })
  const incomplete = all.find(({ id }) => id === snapshot)?.incomplete
  if (incomplete === undefined) return
  // A session that came later, and brought nothing else, may have named what is missing.
  const flag = ledger.get(uid)?.flags.find((one) => one.flag === 'incomplete')
  const why = all.at(-1)?.id === snapshot ? flag?.why : undefined
  note(`snapshot ${snapshot} is incomplete: ${why ?? incomplete}`)
  const complete = all.findLast((one) => one.incomplete === undefined && one.damaged === undefined)
  if (complete !== undefined) note(`the last complete one is ${complete.id}: --at ${complete.id} gives it`)
}

/** Has the archive's process pack it, and passes it on to the command line. */
async function send(
  { archivist }: Desk,
  call: Restore,
  wanted: Omit<Restoring, 'socket'>,
): Promise<Result<'restore'>> {
  const mailbox = await Mailbox.open()
  const given = new AbortController()
  const giveUp = () => given.abort()
  call.signal.addEventListener('abort', giveUp, { once: true })
  const asking: Asking = { ...telling(call, 'restored'), signal: given.signal }
  const packing = archivist.run('restore', { ...wanted, socket: mailbox.path }, asking)
  packing.catch(() => undefined)
  try {
    await call.deliver(deliveryOf(wanted), mailbox.arriving(packing))
    return await packing
  } finally {
    call.signal.removeEventListener('abort', giveUp)
    given.abort()
    await mailbox.close()
  }
}

function deliveryOf({ to, form }: Pick<Restoring, 'to' | 'form'>): Delivery {
  if (form === 'stick') return { to, form: 'additions', companions: stickCompanions }
  return { to, form: /\.xo[bj]$/.test(to) ? 'file' : 'directory' }
}
