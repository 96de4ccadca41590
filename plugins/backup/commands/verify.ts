import type { Call } from '../../../core/api.js'
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
  const found =
    repair && first.damage.length > 0
      ? await desk.archivist.run('verify', { repair: false }, telling(call, 'verified again'))
      : first
  // What was removed so that the laptop sends it anew: asked by digest, the server must not say that it has it.
  for (const uid of first.resend) await desk.ledger.note(uid, () => ({ digest: '' }))
  const broken = new Set(found.damage.map(({ uid }) => uid))
  for (const { uid, why, path } of found.damage)
    await desk.ledger.raise(uid, 'damaged', `${path ?? 'a snapshot'}: ${why}`)
  for (const { uid, flags } of desk.ledger.all()) {
    if (!broken.has(uid) && flags.some(({ flag }) => flag === 'damaged'))
      await desk.ledger.lower(uid, 'damaged')
  }
  const lines = found.damage.map(
    ({ uid, snapshot, path, why }) =>
      `damaged: ${uid} ${snapshot} ${path ?? '(the snapshot itself)'}: ${why}`,
  )
  if (repair) lines.push(`${first.repaired} objects found again and put back`)
  lines.push(
    `${found.snapshots} snapshots, ${found.objects} objects, ${amount(found.bytes)}: ${found.damage.length === 0 ? 'all as they were written' : `${found.damage.length} files are lost`}`,
  )
  call.show(lines, { ...found, repaired: first.repaired })
  return found.damage.length === 0 ? 0 : dataError
}
