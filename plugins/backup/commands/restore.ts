import { type Call, RequestError } from '../../../core/api.js'
import type { Asking } from '../archive/archivist.js'
import type { Result } from '../archive/jobs.js'
import type { Restoring } from '../archive/restore.js'
import type { Desk } from './desk.js'
import { learnerOf } from './learner.js'
import { Mailbox } from './mailbox.js'
import { telling } from './progress.js'
import { amount } from './text.js'

type Restore = Pick<Call, 'print' | 'note' | 'signal' | 'deliver'> & {
  args: { user: string }
  options: { at: string; entry: string; to: string; documents: boolean }
}

const dataError = 65

/** `backup restore USER --to PATH`: hands out a Journal, or an entry of it. @returns 65 when something of it is lost */
export async function restore(desk: Desk, call: Restore): Promise<number> {
  const { args, options, print, note } = call
  const { to } = options
  if (to === '') {
    throw new RequestError('USAGE', 'restore needs --to', {
      hint: 'name a new directory, a file that ends in .xob for a whole Journal, or one in .xoj with --entry',
    })
  }
  if (options.documents && options.entry !== '')
    throw new RequestError('USAGE', 'an entry is of the Journal, and --documents is not', {
      hint: 'say one of them',
    })
  if (/\.(?:xo[bj]|tar|t?gz|zip)$/i.test(to) && !/\.xo[bj]$/.test(to)) {
    throw new RequestError('USAGE', `${to} looks like a file, and is not one that can be made`, {
      hint: 'let it end in .xob or .xoj, or name a directory',
    })
  }
  const uid = await learnerOf(desk, args.user)
  await desk.keeper.settled(uid)
  const at = options.at === '' ? undefined : options.at
  const entry = options.entry === '' ? undefined : options.entry
  const { snapshot, files, bytes, skipped, lost } = await send(desk, call, {
    ...{ uid, at, entry, to },
    documents: options.documents,
  })
  for (const path of skipped) note(`left out: ${path} is a link that leads out of the Journal`)
  for (const name of lost) note(`left out: ${name} is damaged`)
  desk.log.info({ uid, snapshot, entry }, `restored ${snapshot} of ${uid} for an operator`)
  const what = entry === undefined ? `${files} files, ${amount(bytes)}` : `entry ${entry}`
  print(`${to}: ${what} of snapshot ${snapshot}`)
  const [holding] = await desk.archivist.run('holdings', { uids: [uid] })
  if (at === undefined && holding?.braked.includes(snapshot) === true) {
    note('this is what was there before most of the Journal went; --at latest gives the newest')
  }
  await noteIncomplete(desk, call, uid, snapshot)
  return lost.length === 0 ? 0 : dataError
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

/** Has the archive's process pack it, and passes it on to whoever asked. */
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
    const form = /\.xo[bj]$/.test(wanted.to) ? 'file' : 'directory'
    await call.deliver({ to: wanted.to, form }, mailbox.arriving(packing))
    return await packing
  } finally {
    call.signal.removeEventListener('abort', giveUp)
    given.abort()
    await mailbox.close()
  }
}
