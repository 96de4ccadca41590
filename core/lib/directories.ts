import { RequestError, SystemError } from '../errors.js'
import type { Plan } from '../loading/plan.js'
import { able } from '../loading/roster.js'
import { Store } from '../store/contract.js'
import { KeptDirectory } from './kept-directory.js'

/** What plugins keep as documents, unless a plugin provides another store. */
export const storeDirectory = new KeptDirectory({
  name: 'store',
  holds: 'the documents of the plugins',
  below: 'store',
})

/** What became of `accept-directory`. */
export interface Accepted {
  readonly name: string
  readonly holds: string
  readonly path: string
  /** Path of the directory that the root remembered before. */
  readonly before?: string
  /** Whether a running server takes it up only after a restart. */
  readonly needsRestart: boolean
}

type Chosen = Pick<Plan, 'members' | 'settings'>

/** Whether documents lie in the root's own store. */
export const hasOwnStore = ({ members }: Pick<Plan, 'members'>): boolean => {
  const plugins = able(members)
  const provided = plugins.some(({ provides }) => Object.values(provides).some(({ id }) => id === Store.id))
  return !provided && plugins.some(({ collections }) => Object.keys(collections).length > 0)
}

/** Every directory of the enabled plugins that has an identity. */
export const directoriesOf = (plan: Pick<Plan, 'members'>): readonly KeptDirectory[] => [
  ...(hasOwnStore(plan) ? [storeDirectory] : []),
  ...able(plan.members).flatMap(({ system }) => system.filter((probe) => probe instanceof KeptDirectory)),
]

/**
 * Accepts the directory that is at the path now. The caller has the lock of the root.
 * @param name of a directory of an enabled plugin: `backup-path`
 * @throws RequestError NOT_FOUND; SystemError as DirectoryGuard.accept()
 */
export function acceptDirectory(plan: Chosen, name: string): Accepted {
  const all = directoriesOf(plan)
  const found = all.find(({ spec }) => spec.name === name)
  if (found === undefined) {
    throw new RequestError('NOT_FOUND', `no enabled plugin has a directory ${name}`, {
      hint: `name one of ${all.map(({ spec }) => spec.name).join(', ')}`,
    })
  }
  const guard = found.guardOf(plan.settings)
  const { before } = guard.accept()
  const problem = guard.problem()
  if (problem !== undefined)
    throw new SystemError(problem.code, problem.message, { hint: problem.hint ?? '' })
  const { holds, resumes } = found.spec
  return {
    ...{ name, holds, path: guard.path, needsRestart: resumes !== true },
    ...(before && { before: before.path }),
  }
}
