import { ControlClient } from '../../control/client.js'
import { exit } from '../../errors.js'
import type { HouseCommand } from '../command.js'
import { rootOf } from '../solo.js'

export const stop: HouseCommand = {
  name: 'stop',
  summary: 'Stop the running server: it finishes what it began, then ends.',
  async run({ plan, output }) {
    await new ControlClient(rootOf(plan)).stop()
    output.out('stopped\n')
    return exit.ok
  },
}
