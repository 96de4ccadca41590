import { RequestError } from '../../../core/api.js'
import { type Role, roles } from '../public.js'

/** A role that was typed. @throws RequestError USAGE */
export function roleOf(typed: string): Role {
  const role = roles.find((one) => one === typed)
  if (role !== undefined) return role
  throw new RequestError('USAGE', `"${typed}" is nothing that a key is for`, {
    hint: `say one of ${roles.join(', ')}`,
  })
}
