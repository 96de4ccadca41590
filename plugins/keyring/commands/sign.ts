import type { Call } from '../../../core/api.js'
import type { Service } from '../service.js'
import type { Hash } from '../wire/signature.js'
import { onlyFile, operator } from './input.js'
import { handOver } from './output.js'

type SignFile = Pick<Call, 'files' | 'write' | 'deliver'> & {
  options: { role: 'os' | 'fs' | 'fw'; hash: Hash; to: string }
}

/** `keyring sign FILE`: a sig01 over it. */
export async function signFile({ records }: Service, call: SignFile): Promise<void> {
  const { role, hash, to } = call.options
  const line = await records.file(await onlyFile(call), { role, hash, by: operator })
  await handOver(call, to, [`${line}\n`])
}
