import { type Call, RequestError } from '../../../core/api.js'
import type { Service } from '../service.js'
import { authorityOnly } from './authority.js'
import { listOf, operator } from './input.js'
import { signForEach } from './many.js'
import { handOver } from './output.js'

type DeveloperKeys = Pick<Call, 'files' | 'note' | 'signal' | 'write' | 'deliver'> & {
  options: { to: string }
}

const dataError = 65

/** `keyring devkey LAPTOPS`: `develop.sig` for them. @returns 65 when a laptop was refused */
export async function developerKeys(service: Service, call: DeveloperKeys): Promise<number> {
  authorityOnly(service, 'developer keys')
  if (!service.config['keyring-developer']) {
    throw new RequestError('REFUSED', 'developer keys are not signed here: they unlock a laptop for ever', {
      hint: 'if that is meant, set keyring-developer = yes',
    })
  }
  const list = await listOf(call)
  const { signed, refused } = await signForEach(call, list.laptops, ({ serial, uuid }) =>
    service.records.developerKey({ serial, uuid, by: operator }),
  )
  if (signed.length > 0)
    await handOver(
      call,
      call.options.to,
      signed.map(({ value }) => `${value}\n`),
    )
  const all = refused + list.refused.length
  call.note(`${signed.length} developer keys, ${all} refused`)
  return all === 0 ? 0 : dataError
}
