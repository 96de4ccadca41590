import { RequestError } from '../../../core/api.js'
import type { Service } from '../service.js'

/** @throws RequestError REFUSED on the server of a school */
export function authorityOnly({ config }: Service, what: string): void {
  if (config['keyring-role'] === 'authority') return
  throw new RequestError(
    'REFUSED',
    `${what} are for the authority to sign, and this is the server of a school`,
    {
      hint: 'do it where the master keys are, on a server with keyring-role = authority',
    },
  )
}
