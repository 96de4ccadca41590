import type { Call } from '../../../core/api.js'
import { clockAccepted } from '../audit/line.js'
import type { Service } from '../service.js'
import { operator } from './input.js'

const time = (iso: string | undefined): string =>
  iso === undefined ? 'none yet' : `${iso.slice(0, 19).replace('T', ' ')} UTC`

const synchronised = { true: 'yes', false: 'no', undefined: 'was not asked' } as const

/** `keyring clock [--accept]`: what is known of the clock, and whether it lets anything be signed. */
export async function clock(
  service: Service,
  call: Pick<Call, 'show'> & { options: { accept: boolean } },
): Promise<void> {
  const { guard } = service
  if (call.options.accept) {
    await guard.accept()
    // The log says when the newest signature was made: with this line, none before it counts.
    await service.audit.append({ by: operator, what: clockAccepted, key: '' })
  }
  const obstacle = await guard.obstacle()
  const facts = guard.facts()
  const lines = [
    `signing       ${obstacle === undefined ? 'yes' : `no: ${obstacle}`}`,
    `clock         ${time(facts.now)}`,
    `made          ${time(facts.built)}`,
    `highest seen  ${time(facts.highest)}`,
    `last signed   ${time(facts.newest)}`,
    `synchronised  ${synchronised[`${facts.synchronised}`]}`,
  ]
  if (facts.unkept !== undefined) lines.push(`not kept      ${facts.unkept}`)
  call.show(lines, { ...facts, ...(obstacle !== undefined && { obstacle }) })
}
