import { asError, type Call } from '../../../core/api.js'
import type { Verified } from '../archive/verify.js'
import type { Desk } from './desk.js'
import { telling } from './progress.js'
import { amount } from './text.js'

const dataError = 65

/** `backup verify [--repair]`: reads everything again. @returns 65 when something is lost */
export async function verify(
  desk: Desk,
  call: Pick<Call, 'print' | 'note' | 'signal' | 'show'> & { options: { repair: boolean } },
): Promise<number> {
  await desk.keeper.settled()
  const { repair } = call.options
  const first = await desk.archivist.run('verify', { repair }, telling(call, 'verified'))
  await discardAll(desk, call, first.resend)
  const found =
    repair && first.damage.length > 0
      ? await desk.archivist.run('verify', { repair: false }, telling(call, 'verified again'))
      : first
  const broken = new Set(found.damage.map(({ uid }) => uid))
  for (const { uid, why, path } of found.damage)
    await desk.ledger.raise(uid, 'damaged', `${path ?? 'a snapshot'}: ${why}`)
  for (const { uid, flags } of desk.ledger.all()) {
    if (!broken.has(uid) && flags.some(({ flag }) => flag === 'damaged'))
      await desk.ledger.lower(uid, 'damaged')
  }
  const lines = found.damage.map(
    ({ uid, snapshot, path, why }) =>
      `damaged: ${uid} ${snapshot ?? '(all snapshots)'} ${path ?? '(the snapshot itself)'}: ${why}`,
  )
  for (const { uid, snapshot } of found.unconfirmed)
    lines.push(
      `unconfirmed: ${uid} ${snapshot}: taken after the machine had stopped, before the laptop came again; files may be torn`,
    )
  if (repair) lines.push(`${first.repaired} objects found again and put back`)
  lines.push(
    `${found.snapshots} snapshots, ${found.objects} objects, ${amount(found.bytes)}: ${found.damage.length === 0 ? 'all as they were written' : `${found.damage.length} files are lost`}`,
  )
  call.show(lines, { ...found, repaired: first.repaired })
  return found.damage.length === 0 ? 0 : dataError
}

/**
 * Removes damaged files from live trees, so that laptops send them anew. Before the first is gone it is noted that the
 * tree is not what the laptop sent: neither is it handed out as the latest, nor is the laptop told that all is here.
 */
async function discardAll(
  { turns, marks, keeper, ledger, archivist }: Desk,
  { note, signal }: Pick<Call, 'note' | 'signal'>,
  resend: Verified['resend'],
): Promise<void> {
  for (const uid of new Set(resend.map((one) => one.uid))) {
    try {
      const leave = await turns.take(uid, 'write', signal)
      try {
        // It may be all there is of what a laptop was told is safe.
        await keeper.recover(uid)
        if (marks.isDue(uid)) await keeper.keep(uid)
        await marks.begin(uid, 'dirty')
        await ledger.note(uid, () => ({ digest: '' }))
        await archivist.run('discard', { uid, rotten: resend.filter((one) => one.uid === uid) })
      } finally {
        leave()
      }
    } catch (error) {
      if (signal.aborted) throw error
      note(
        `damaged files of ${uid} are not removed (${asError(error).message}): run "backup verify --repair" again`,
      )
    }
  }
}
