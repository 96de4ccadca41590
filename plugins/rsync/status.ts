import type { Chapter } from '../../core/api.js'
import type { Front } from './front/front.js'
import type { Registry } from './modules/registry.js'

/** Transfers and problems that are named one by one; more are counted. */
const named = 20

/** Rsync's part of `sugar-server status`. */
export function statusOf(registry: Registry, front: Front, notes: readonly string[]): Chapter {
  const modules = registry.list()
  const transfers = front.transfers.map(({ module, address, since, bytes }) => ({
    ...{ module, address, bytes },
    since: since.toISOString(),
  }))
  const held = front.held.map(({ module, address, since }) => ({
    ...{ module, address },
    since: since.toISOString(),
  }))
  const problems = [
    ...notes,
    ...registry.gone().map(({ name, path }) => `${name} is not served: ${path} is not there`),
    ...registry.notes(),
  ]
  const lines = [
    `modules    ${modules.length}`,
    `transfers  ${transfers.length}; ${held.length} wait for a module that is being made, ${front.turnedAway} were told to come again`,
    ...some(transfers, 'now', ({ module, address, since, bytes }) => {
      return `${address} fetches from ${module} since ${since}, ${Math.round(bytes / 1e6)} MB`
    }),
    ...some(held, 'held', ({ module, address, since }) => `${address} waits for ${module} since ${since}`),
    ...some(problems, 'problem', (text) => text),
  ]
  const { newcomers, turnedAway } = front
  return { lines, facts: { modules: modules.length, transfers, held, newcomers, turnedAway, problems } }
}

function some<T>(all: readonly T[], title: string, text: (one: T) => string): string[] {
  const lines = all.slice(0, named).map((one) => `${title.padEnd(11)}${text(one)}`)
  return all.length > named ? [...lines, `${title.padEnd(11)}and ${all.length - named} more`] : lines
}
