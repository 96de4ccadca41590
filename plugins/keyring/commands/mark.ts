import { type Call, RequestError } from '../../../core/api.js'
import { type State, states } from '../keys/states.js'
import { shortId } from '../keys/stored.js'
import type { Service } from '../service.js'
import { lostReach } from './reach.js'
import { recordedIfPossible } from './recorded.js'

/** What a state means from now on. */
const meaning: Readonly<Record<State, string>> = {
  active:
    'is active: what it signed counts, and it signs where it has a private half and none was added later',
  retired: 'is retired: it signs no more, and what it has signed still counts',
  compromised: 'is compromised: it signs no more, and nothing that it has signed counts here',
}

/** `keyring mark KEY STATE` */
export async function mark(
  service: Service,
  call: Pick<Call, 'print' | 'note'> & { args: { key: string; state: string } },
): Promise<void> {
  const { vault } = service
  const state = states.find((one) => one === call.args.state)
  if (state === undefined) {
    throw new RequestError('USAGE', `"${call.args.state}" is no state of a key`, {
      hint: `say one of ${states.join(', ')}`,
    })
  }
  const { role, publicKey, state: before } = vault.find(call.args.key)
  const name = `${shortId(publicKey)} (${role})`
  if (state === before) {
    call.print(`${name} is ${state} already`)
    return
  }
  const lost = lostReach(service)
  await recordedIfPossible(service, call, { what: `mark ${state}`, key: publicKey.id }, () =>
    vault.mark(publicKey.id, state),
  )
  call.print(`${name} ${meaning[state]}`)
  if (state === 'compromised') {
    call.note(
      'leases signed with it are no longer given out; laptops that ask get new ones, signed with another key',
    )
    call.note('laptops themselves go on trusting it until the keys in them are replaced')
  }
  if (before === 'compromised')
    call.note('this is right only if it was marked by mistake: what leaked stays leaked')
  for (const line of lost()) call.note(line)
  const signing = vault.signing(role)
  if (signing !== undefined) call.note(`${shortId(signing.publicKey)} signs for ${role} now`)
  else if (before === 'active') call.note(`no key of this server signs for ${role} now`)
}
