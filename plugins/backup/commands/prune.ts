import type { Call, Column } from '../../../core/api.js'
import type { Pruned } from '../archive/prune.js'
import type { Desk } from './desk.js'
import { telling } from './progress.js'
import { amount, time } from './text.js'

const columns: readonly Column<Pruned>[] = [
  { title: 'UID', text: ({ uid }) => uid.slice(0, 12) },
  { title: 'SNAPSHOT', text: ({ id }) => id },
  { title: 'TIME (UTC)', text: ({ at }) => time(at) },
  { title: 'VERDICT', text: ({ keep }) => (keep ? 'keep' : 'remove') },
  { title: 'WHY', text: ({ reasons }) => reasons.join('; ') },
]

/** `backup prune [--dry-run]`: removes what no rule keeps, and then what nobody needs any more. */
export async function prune(
  desk: Desk,
  call: Pick<Call, 'list' | 'note' | 'signal'> & { options: { 'dry-run': boolean } },
): Promise<void> {
  const dryRun = call.options['dry-run']
  const { verdicts, freed } = await pruneAll(desk, dryRun, telling(call, 'looked at'))
  call.list(verdicts, columns)
  const gone = verdicts.filter(({ keep }) => !keep).length
  const what = `${gone} of ${verdicts.length} snapshots`
  call.note(dryRun ? `${what} would be removed` : `${what} removed, ${amount(freed)} freed`)
}

/** Prunes everybody's snapshots. */
export async function pruneAll(
  desk: Pick<Desk, 'archivist' | 'rules' | 'measured'> & { keeper: Pick<Desk['keeper'], 'settled'> },
  dryRun: boolean,
  asking = {},
): Promise<{ verdicts: Pruned[]; freed: number }> {
  const { archivist, keeper, rules } = desk
  await keeper.settled()
  const verdicts = await archivist.run('prune', { rules, dryRun }, asking)
  if (dryRun) return { verdicts, freed: 0 }
  const { freed } = await archivist.run('sweep', {}, asking)
  await desk.measured()
  return { verdicts, freed }
}
