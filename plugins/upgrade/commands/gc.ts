import type { Call, Column } from '../../../core/api.js'
import type { Verdict } from '../lru/collector.js'
import type { Service } from '../service.js'
import { amount, time } from '../text.js'

const columns: readonly Column<Verdict>[] = [
  { title: 'NAME', text: ({ name }) => name },
  { title: 'SIZE', text: ({ bytes }) => amount(bytes) },
  { title: 'LAST USED (UTC)', text: ({ usedAt }) => time(usedAt) },
  { title: 'VERDICT', text: ({ keep }) => (keep ? 'keep' : 'remove') },
  { title: 'WHY', text: ({ why }) => why },
]

/** `upgrade gc [--dry-run]`: removes what goes beyond the limits; what would go first comes first. */
export async function gc(
  { collector }: Pick<Service, 'collector'>,
  call: Pick<Call, 'list' | 'note'> & { options: { 'dry-run': boolean } },
): Promise<void> {
  const dryRun = call.options['dry-run']
  const verdicts = dryRun ? await collector.verdicts() : await collector.collect()
  call.list(verdicts, columns)
  const going = verdicts.filter(({ keep }) => !keep)
  const what = `${going.length} builds, ${amount(going.reduce((sum, { bytes }) => sum + bytes, 0))}`
  call.note(dryRun ? `${what}: would be removed` : `${what}: removed`)
}
