import type { Call } from '../../../core/api.js'
import type { Service } from '../service.js'
import { formatBundle } from '../wire/bundle.js'
import { endOf, listOf, operator, sayOtherUuids } from './input.js'
import { signForEach } from './many.js'
import { handOver } from './output.js'

type Lease = Pick<Call, 'files' | 'note' | 'signal' | 'write' | 'deliver'> & {
  options: { until: string; bundle: boolean; to: string }
}

const dataError = 65

/** `keyring lease LAPTOPS --until TIME`: leases as lines or a bundle. @returns 65 when a laptop was refused */
export async function lease(service: Service, call: Lease): Promise<number> {
  const { records, notary } = service
  const { bundle, to } = call.options
  const expiry = await endOf(call.options.until, notary)
  const list = await listOf(call)
  sayOtherUuids(service, call, list.laptops)
  const { signed, refused } = await signForEach(call, list.laptops, ({ serial, uuid }) =>
    records.lease({ serial, uuid, expiry, by: operator }),
  )
  const lines = signed.map(({ laptop, value }) => [laptop.serial, `${value}\n`] as const)
  if (lines.length > 0)
    await handOver(call, to, bundle ? [formatBundle(new Map(lines))] : lines.map(([, line]) => line))
  const all = refused + list.refused.length
  call.note(`${lines.length} leases until ${expiry}, ${all} refused`)
  return all === 0 ? 0 : dataError
}
