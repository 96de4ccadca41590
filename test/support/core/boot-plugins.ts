import { pino } from 'pino'
import type { Test } from 'tap'
import { definePlugin, type Plugin, type PluginSpec } from '../../../core/api.js'
import type { Given } from '../../../core/config/layers.js'
import { type Problem, problemOf as problem, SugarError } from '../../../core/errors.js'
import { House } from '../../../core/house.js'
import { makePlan } from '../../../core/loading/plan.js'
import { claim } from '../../../core/loading/roster.js'
import { boot, type TestHouse } from '../../../core/testing.js'
import { temporaryDirectory } from '../temporary-directory.js'

/** A plugin of which only what a test is about need be said. */
export const plugin = (name: string, spec: Partial<PluginSpec> = {}): Plugin =>
  definePlugin({ name, api: 1, summary: `the plugin ${name}`, start() {}, ...spec })

/** Boots plugins with the test kit; they are gone when the test ends. */
export async function booted(
  t: Test,
  plugins: readonly unknown[],
  settings: Record<string, string> = {},
): Promise<TestHouse> {
  const house = await boot({ plugins, settings })
  t.teardown(() => house.dispose())
  return house
}

/** State and, where there is one, error code of each plugin: `{ id: 'running', rsync: 'failed PLUGIN_FAILED' }`. */
export async function states(house: Pick<TestHouse, 'status'>): Promise<Record<string, string>> {
  const { plugins } = await house.status()
  return Object.fromEntries(
    plugins.map(({ name, state, code }) => [name, code === undefined ? state : `${state} ${code}`]),
  )
}

export interface LogLine {
  level: number
  msg: string
  plugin?: string
  err?: { message: string }
}

/** A house that is not started yet, and whose log can be read. */
export async function unstarted(
  t: Test,
  plugins: readonly Plugin[],
  settings: Record<string, string> = {},
): Promise<{ house: House; log: LogLine[]; root: string }> {
  const root = await temporaryDirectory(t)
  const texts = { root, host: '127.0.0.1', 'httpd-port': '0', 'drain-seconds': '2', ...settings }
  const given: Given[] = Object.entries(texts).map(([name, text]) => ({
    name,
    text,
    origin: { from: 'flag', flag: name },
    base: root,
  }))
  const members = plugins.map((one) => ({ name: one.name, source: 'path' as const, plugin: one }))
  claim(members)
  const plan = await makePlan({ members, problems: [] }, given)
  t.same(plan.problems, [], 'the plan has no problems')
  const log: LogLine[] = []
  const logger = pino({ base: null }, { write: (line: string) => void log.push(JSON.parse(line)) })
  const house = new House(plan, { logger, flush: async () => undefined })
  t.teardown(() => house.stop())
  return { house, log, root }
}

/** A promise and the function that keeps it. */
export function promised<T = void>(): { promise: Promise<T>; keep: (value: T) => void } {
  let keep: (value: T) => void = () => undefined
  const promise = new Promise<T>((resolve) => {
    keep = resolve
  })
  return { promise, keep }
}

/** What an error of the house says. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof SugarError) return problem(thrown)
  throw thrown
}
