import { RequestError, SystemError } from '../errors.js'
import type { Plan } from '../loading/plan.js'
import { able } from '../loading/roster.js'
import { Store } from '../store/contract.js'
import { type DirectoryGuard, KeptDirectory } from './kept-directory.js'

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

/** Whether documents lie in the root's own store. */
export const hasOwnStore = ({ members }: Pick<Plan, 'members'>): boolean => {
  // Those that cannot run count too: documents must not go to another store meanwhile.
  const plugins = members.flatMap(({ plugin }) => plugin ?? [])
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
export function acceptDirectory(plan: Pick<Plan, 'members' | 'settings'>, name: string): Accepted {
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

/** A plugin whose directory cannot be used, and whether the plugin can run all the same. */
export interface Unusable {
  readonly plugin: string
  readonly problem: unknown
  readonly canRun: boolean
}

/** The directories of one server, by the plugins that need them. */
export class Directories {
  /** That of the store; undefined when no plugin keeps documents in it. */
  readonly store: DirectoryGuard | undefined
  readonly #needed = new Map<string, { guard: DirectoryGuard; canRun: boolean }[]>()

  constructor(plan: Pick<Plan, 'members' | 'settings'>) {
    this.store = hasOwnStore(plan) ? storeDirectory.guardOf(plan.settings) : undefined
    for (const { name, collections, system } of able(plan.members)) {
      const own = system
        .filter((probe) => probe instanceof KeptDirectory)
        .map((directory) => ({
          guard: directory.guardOf(plan.settings),
          canRun: directory.spec.resumes === true,
        }))
      const documents = Object.keys(collections).length > 0 ? this.store : undefined
      this.#needed.set(name, [...(documents ? [{ guard: documents, canRun: false }] : []), ...own])
    }
  }

  /** Takes all of them up. @returns those that cannot be used */
  claim(): Unusable[] {
    return [...this.#needed].flatMap(([plugin, needed]) =>
      needed.flatMap(({ guard, canRun }): Unusable[] => {
        try {
          const problem = guard.claim()
          return problem === undefined ? [] : [{ plugin, problem, canRun }]
        } catch (problem) {
          return [{ plugin, problem, canRun: false }]
        }
      }),
    )
  }

  /** Why a plugin cannot work now: one of its directories is away. */
  problemOf(plugin: string): SystemError | undefined {
    for (const { guard } of this.#needed.get(plugin) ?? []) {
      const problem = guard.problem()
      if (problem !== undefined) return problem
    }
    return undefined
  }
}
