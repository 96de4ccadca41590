import type { Chapter } from '../../core/api.js'
import type { DelegatedRole } from './delegations/held.js'
import type { Service } from './service.js'
import { formatMoment, hasPassed, type Moment, never } from './wire/moment.js'

const whatIsSigned: Readonly<Record<DelegatedRole, string>> = { lease: 'leases', oats: 'answers of OATS' }

type Reach = ReturnType<Service['grounds']['reach']>

/** The keyring's part of `sugar-server status`. */
export async function statusOf({ config, grounds, vault, notary, guard, held }: Service): Promise<Chapter> {
  const now = formatMoment(notary.now())
  const [lease, oats] = [grounds.reach('lease', now), grounds.reach('oats', now)]
  const obstacle = await notary.obstacle()
  const warnings = vault.warnings(config['keyring-role'])
  const modes = [...modeOf('lease', lease), ...modeOf('oats', oats)]
  const hasKey = vault.signing('server') !== undefined
  const nothing = `signs nothing: ${hasKey ? 'no delegation that counts now' : 'no key'}`
  const lines = [
    `role       ${config['keyring-role']}`,
    ...(modes.length > 0 ? modes : [nothing]).map((mode) => `mode       ${mode}`),
    `driver     ${notary.driver.name}`,
    ...(obstacle === undefined ? [] : [`obstacle   signs nothing now: ${obstacle}`]),
    ...(notary.trouble === undefined ? [] : [`trouble    ${notary.trouble}`]),
    ...warnings.map((warning) => `warning    ${warning}`),
  ]
  const facts = {
    role: config['keyring-role'],
    driver: notary.driver.name,
    lease: factsOf(lease),
    oats: factsOf(oats),
    keys: vault.list().length,
    delegations: [...held.all()].length,
    clock: guard.facts(),
    obstacle: obstacle ?? null,
    trouble: notary.trouble ?? null,
    warnings,
  }
  return { lines, facts }
}

/** The keyring's part of `sugar-server explain`; undefined for a laptop of which it knows nothing. Holds no uuid. */
export function chapterOf({ grounds, held, notary }: Service, serial: string): Chapter | undefined {
  const now = formatMoment(notary.now())
  const found = (['lease', 'oats'] as const).flatMap((role) => {
    const delegation = held.get(role, serial)
    if (delegation === undefined) return []
    const { until, key, root, takenAt } = delegation
    const counts = grounds.find(role, serial) !== undefined && !hasPassed(until, now)
    return [{ role, until, key, from: root, takenAt, counts }]
  })
  if (found.length === 0) return undefined
  const lines = found.map(({ role, until, key, from, counts }) => {
    const which = `for ${whatIsSigned[role]}, from ${from.slice(0, 12)} to ${key.slice(0, 12)}`
    return `delegation ${which}, until ${dateOf(until)}${counts ? '' : '; it does not count now'}`
  })
  return { lines, facts: { serial, delegations: found } }
}

function modeOf(role: DelegatedRole, reach: Reach): string[] {
  const what = whatIsSigned[role]
  if (reach === 'all') return [`signs ${what} with its own key`]
  const { laptops, firstEnd } = reach
  if (laptops === 0) return []
  const end = firstEnd === undefined ? 'they never end' : `the first ends ${dateOf(firstEnd)}`
  return [`signs ${what} for ${laptops} ${laptops === 1 ? 'laptop' : 'laptops'} with delegations; ${end}`]
}

const factsOf = (reach: Reach): object =>
  reach === 'all' ? { laptops: 'all' } : { laptops: reach.laptops, firstEnd: reach.firstEnd ?? null }

/** A moment as people write dates. */
const dateOf = (moment: Moment): string =>
  moment === never ? 'for ever' : `${moment.slice(0, 4)}-${moment.slice(4, 6)}-${moment.slice(6, 8)}`
