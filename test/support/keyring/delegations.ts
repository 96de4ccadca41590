import type { Test } from 'tap'
import type { Intake } from '../../../plugins/keyring/public.js'
import { type Desk, type Listed, type Opening, openDesk, publicOf } from './open-keyring.js'

export const by = 'test'

/** A school server with its own key. */
export const school = (t: Pick<Test, 'teardown'>, more: Opening = {}) =>
  openDesk(t, {
    trusts: [
      ['lease', 'lease'],
      ['oats', 'oats'],
    ],
    keys: [['server', 'server']],
    ...more,
  })

/** An authority with the master keys. */
export const authority = (t: Pick<Test, 'teardown'>, more: Opening = {}) =>
  openDesk(t, {
    settings: { 'keyring-role': 'authority' },
    keys: [
      ['lease', 'lease'],
      ['oats', 'oats'],
    ],
    ...more,
  })

export const take = ({ service }: Desk, text: string, role: 'lease' | 'oats' = 'lease'): Promise<Intake> =>
  service.keyring.takeDelegations(role, text, by)

/** `del01:` lines that the authority signs for a key. */
export async function signed(
  { service }: Desk,
  until: string,
  laptops: readonly Listed[],
  to = 'server',
): Promise<string> {
  const wanted = { role: 'lease' as const, to: publicOf(to), until, isFixed: true, by }
  const issued = await Promise.all(laptops.map((one) => service.issuer.issue(one, wanted)))
  return issued.map(({ line }) => `${line}\n`).join('')
}
