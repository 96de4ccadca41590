import type { Column } from '../../command.js'
import { ControlClient } from '../../control/client.js'
import { listing, type Output } from '../../control/output.js'
import { exit, SugarError } from '../../errors.js'
import type { HouseStatus } from '../../house.js'
import { withTypedCommands } from '../../lib/typed-program.js'
import { printable, printableJson } from '../../log/printable.js'
import { version } from '../../version.js'
import type { HouseCommand } from '../command.js'
import { reportThrown } from '../report.js'
import { rootOf } from '../solo.js'

export const status: HouseCommand = {
  name: 'status',
  summary: 'Show what runs, what does not and why, and where it listens.',
  lists: true,
  async run({ plan, json, output }) {
    const root = rootOf(plan)
    let found: HouseStatus
    try {
      found = (await new ControlClient(root).get('/status')) as HouseStatus
    } catch (error) {
      if (!(error instanceof SugarError && error.code === 'NOT_RUNNING')) throw error
      if (json)
        output.out(
          `${printableJson({ phase: 'stopped', version, plugins: [], listeners: [], health: [] })}\n`,
        )
      return reportThrown(error, output)
    }
    if (json) output.out(`${printableJson(found)}\n`)
    else show(found, output)
    return exit.ok
  },
}

function show(
  { phase, version: running, plugins, listeners, store, health, reports = {} }: HouseStatus,
  output: Output,
): void {
  const lines = [`sugar-server ${running}: ${phase}`]
  if (store?.readOnly !== undefined) lines.push(`THE STORE IS READ-ONLY: ${store.readOnly}`)
  for (const repair of store?.repairs ?? []) lines.push(`store repaired: ${repair}`)
  for (const { plugin, what, problem } of health) lines.push(`${plugin}: ${what}: ${problem}`)
  output.out(`${lines.map(printable).join('\n')}\n\n`)
  output.out(
    listing(
      plugins,
      [
        { title: 'PLUGIN', text: ({ name }) => name },
        { title: 'STATE', text: ({ state }) => state },
        { title: 'MS', text: ({ ms }) => String(ms) },
        {
          title: 'WHY',
          text: ({ message, hint }) => withTypedCommands([message, hint].filter(Boolean).join('; ')),
        },
      ],
      false,
    ),
  )
  if (listeners.length > 0) output.out(`\n${listing(listeners, listenerColumns, false)}`)
  for (const [plugin, { lines }] of Object.entries(reports)) {
    output.out(`\n${plugin}\n${lines.map((line) => `  ${printable(line)}\n`).join('')}`)
  }
}

const listenerColumns: Column<HouseStatus['listeners'][number]>[] = [
  { title: 'LISTENER', text: ({ name }) => name },
  { title: 'ADDRESS', text: ({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}` },
]
