import { ControlClient } from '../../control/client.js'
import { listing } from '../../control/output.js'
import { exit, SugarError } from '../../errors.js'
import type { HouseStatus } from '../../house.js'
import { bundledNames, loadPlugin } from '../../loading/load.js'
import type { HouseCommand } from '../command.js'
import { rootOf } from '../solo.js'

interface Row {
  name: string
  source: string
  enabled: boolean
  /** In the running server; absent when none runs. */
  state?: string
  summary: string
  problem?: string
}

export const plugins: HouseCommand = {
  name: 'plugins',
  summary: 'List bundled and enabled plugins and how they fare.',
  lists: true,
  async run({ plan, json, output }) {
    const running = await states(rootOf(plan))
    const rows: Row[] = plan.members.map(({ name, source, plugin, problem }) => ({
      name,
      source,
      enabled: true,
      ...stateOf(name, running),
      summary: plugin?.summary ?? '',
      ...(problem && { problem: problem.message }),
    }))
    for (const name of bundledNames()) {
      if (rows.some((row) => row.name === name)) continue
      const { plugin } = await loadPlugin(name, '/')
      rows.push({
        name,
        source: 'bundled',
        enabled: false,
        ...stateOf(name, running),
        summary: plugin.summary,
      })
    }
    output.out(
      listing(
        rows,
        [
          { title: 'PLUGIN', text: ({ name }) => name },
          { title: 'FROM', text: ({ source }) => source },
          { title: 'ENABLED', text: ({ enabled }) => (enabled ? 'yes' : 'no') },
          { title: 'STATE', text: ({ state }) => state ?? '-' },
          { title: 'SUMMARY', text: ({ summary, problem }) => problem ?? summary },
        ],
        json,
      ),
    )
    return exit.ok
  },
}

async function states(root: string): Promise<HouseStatus['plugins']> {
  try {
    return ((await new ControlClient(root).get('/status')) as HouseStatus).plugins
  } catch (error) {
    if (error instanceof SugarError) return []
    throw error
  }
}

function stateOf(name: string, running: HouseStatus['plugins']): { state?: string } {
  const found = running.find((plugin) => plugin.name === name)
  return found === undefined ? {} : { state: found.state }
}
