import type { Call } from '../../../core/api.js'
import { shortId } from '../keys/stored.js'
import type { Service } from '../service.js'
import { recorded } from './recorded.js'
import { roleOf } from './role.js'

/** `keyring generate ROLE`: makes a pair, which signs from then on. */
export async function generate(
  service: Service,
  call: Pick<Call, 'print' | 'note'> & { args: { role: string } },
): Promise<void> {
  const role = roleOf(call.args.role)
  const key = await recorded(service, 'generate', (noted) => service.vault.generate(role, noted))
  const id = shortId(key.publicKey)
  call.print(`made a pair of keys for ${role}: ${id}`)
  const warning = service.vault.warningOf(key, service.config['keyring-role'])
  if (warning !== undefined) call.note(warning)
  if (role === 'server')
    call.note(`"sugar-server keyring export ${id} --to server.public" writes what the authority delegates to`)
}
