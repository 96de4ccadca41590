import { type Call, RequestError } from '../../../core/api.js'
import type { Service } from '../service.js'
import { listOf, operator, sayOtherUuids } from './input.js'
import { handOver } from './output.js'

type RtcReset = Pick<Call, 'files' | 'note' | 'write' | 'deliver'> & {
  options: { current: string; nonce: string; to: string }
}

/** `keyring rtcreset LAPTOPS --current TIME --nonce N`: lets one laptop take over this server's time. */
export async function rtcReset(service: Service, call: RtcReset): Promise<void> {
  const { current, nonce, to } = call.options
  if (current === '' || !/^\d{1,10}$/.test(nonce)) {
    throw new RequestError('USAGE', 'it is not said what the laptop shows', {
      hint: 'add --current with its time, YYYYMMDDThhmmssZ, and --nonce with its number of up to 10 digits',
    })
  }
  const { laptops } = await listOf(call)
  const [laptop, ...others] = laptops
  if (laptop === undefined || others.length > 0) {
    throw new RequestError('USAGE', `the list names ${laptops.length} laptops, and this is for one`, {
      hint: 'give a list with its line alone',
    })
  }
  sayOtherUuids(service, call, laptops)
  const { serial, uuid } = laptop
  const ask = { serial, uuid, current, nonce: nonce.padStart(10, '0'), by: operator }
  await handOver(call, to, [`${await service.records.resetClock(ask)}\n`])
}
