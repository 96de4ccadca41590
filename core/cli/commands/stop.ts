import { ControlClient } from '../../control/client.js'
import { exit } from '../../errors.js'
import type { HouseCommand } from '../command.js'

export const stop: HouseCommand = {
  name: 'stop',
  summary: 'Stop the running server: it finishes what it began, then ends.',
  async run({ plan, output }) {
    await new ControlClient(String(plan.settings.get('root'))).stop()
    output.out('stopped\n')
    return exit.ok
  },
}
