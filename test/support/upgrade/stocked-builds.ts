import type { Test } from 'tap'
import { boot, type TestHouse } from '../../../core/testing.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { type StandIn, standIn } from './fake-rsync.js'

export const minute = 60_000
export const hour = 60 * minute
export const million = 1e6

/** A clock that a test turns. */
export function clock(t: Pick<Test, 'teardown'>): { forth(milliseconds: number): void } {
  const { now } = Date
  let ahead = 0
  Date.now = () => now() + ahead
  t.teardown(() => {
    Date.now = now
  })
  return {
    forth(milliseconds) {
      ahead += milliseconds
    },
  }
}

export interface School {
  house: TestHouse
  rsync: StandIn
}

/** A school with builds of 1 MB, the first of which was used the longest ago. */
export async function school(
  t: Test,
  names: readonly string[],
  settings: Record<string, string> = {},
  more: readonly unknown[] = [],
  root?: string,
): Promise<School> {
  const rsync = await standIn(t)
  for (const [index, name] of names.entries()) {
    const publishedAt = new Date(Date.now() - (names.length - index + 1) * hour).toISOString()
    await rsync.put(name, { publishedAt })
  }
  const house = await boot({
    plugins: [rsync.plugin, ...more, upgrade],
    settings: { 'upgrade-keep-free': '0', 'upgrade-limit': '2', ...settings },
    ...(root !== undefined && { root }),
  })
  t.teardown(() => house.dispose())
  return { house, rsync }
}

export const gc = async (
  { house }: School,
  dry = false,
): Promise<{ name: string; keep: boolean; why: string }[]> =>
  JSON.parse(
    (await house.command(['upgrade', 'gc'], { json: true, options: dry ? { 'dry-run': 'yes' } : {} })).out,
  )
export const gone = ({ rsync }: School) => rsync.removed.map(({ name }) => name)
export const now = () => new Date(Date.now()).toISOString()
