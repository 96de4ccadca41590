import type { Service } from '../service.js'

const delegated = ['lease', 'oats'] as const

/** @returns what tells, a sentence a role, how many laptops could be signed for when this was called, and cannot now */
export function lostReach({ keyring }: Pick<Service, 'keyring'>): () => string[] {
  const reached = () => delegated.map((role) => keyring.reach(role))
  const before = reached()
  return () =>
    reached().flatMap((reach, index) => {
      // With a master key it is `all`, and no number.
      const lost = Number(before[index]) - Number(reach)
      if (!(lost > 0)) return []
      const whose = `${lost} ${lost === 1 ? 'laptop has' : 'laptops have'}`
      return [`${whose} no delegation for ${delegated[index]} that counts any more: take over new ones`]
    })
}
