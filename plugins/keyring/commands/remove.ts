import { type Call, RequestError, systemCode } from '../../../core/api.js'
import { type StoredKey, shortId } from '../keys/stored.js'
import type { Service } from '../service.js'
import { operator } from './input.js'
import { lostReach } from './reach.js'

/** `keyring remove KEY`: both halves of a key that was put here by mistake, and never signed. */
export async function remove(
  service: Service,
  call: Pick<Call, 'print' | 'note'> & { args: { key: string } },
): Promise<void> {
  const { vault, audit } = service
  const key = vault.find(call.args.key)
  await mustBeUnused(service, key)
  const { role, publicKey, hasPrivate } = key
  const before = vault.signing(role)
  const lost = lostReach(service)
  // First, so that what cannot be noted is not removed.
  await audit.append({ by: operator, what: 'keyring remove', key: publicKey.id })
  await vault.remove(publicKey.id)
  call.print(`removed: the ${hasPrivate ? 'pair' : 'public key'} ${shortId(publicKey)} (${role})`)
  for (const line of lost()) call.note(line)
  if (before !== key) return
  const signing = vault.signing(role)
  if (signing === undefined) call.note(`no key of this server signs for ${role} now`)
  else call.note(`${shortId(signing.publicKey)} signs for ${role} now`)
}

/** @throws RequestError REFUSED for a key whose traces must stay explicable */
async function mustBeUnused({ audit, held }: Service, { publicKey, state }: StoredKey): Promise<void> {
  const id = shortId(publicKey)
  const keep = `keep it, and say "sugar-server keyring mark ${id} retired", or compromised if it leaked`
  if (state === 'compromised') {
    throw new RequestError('REFUSED', `${id} is compromised, which would be forgotten with it`, {
      hint: `if it was marked by mistake, say "sugar-server keyring mark ${id} active" first`,
    })
  }
  const signed = await audit.firstSigned(publicKey.id).catch((cause: unknown) => {
    const why = systemCode(cause)
    if (why === undefined) throw cause
    throw new RequestError(
      'UNAVAILABLE',
      `the audit log, which says what ${id} has signed, cannot be read (${why})`,
      {
        cause,
      },
    )
  })
  if (signed !== undefined)
    throw new RequestError('REFUSED', `${id} has signed: ${signed.what} at ${signed.at}`, { hint: keep })
  const delegations = [...held.all()].filter(({ key }) => key === publicKey.id).length
  if (delegations > 0) {
    const which = delegations === 1 ? '1 delegation hands' : `${delegations} delegations hand`
    throw new RequestError('REFUSED', `${which} over to ${id}`, { hint: keep })
  }
}
