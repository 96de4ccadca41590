import { coreOptions } from '../../config/core-options.js'
import { flag } from '../../config/option.js'
import { printSample, printSettings } from '../../config/print.js'
import { exit } from '../../errors.js'
import { bundledNames, loadPlugin } from '../../loading/load.js'
import type { HouseCommand } from '../command.js'
import { reportProblems } from '../report.js'

export const config: HouseCommand = {
  name: 'config',
  summary: 'Print the settings in force, as a settings file, with where each comes from.',
  options: {
    sample: flag({
      help: 'Print a sample file instead: every option of every bundled plugin, with its default.',
      default: false,
    }),
  },
  async run({ plan, options, output }) {
    if (options.sample !== undefined && coreOptions.strict.read(options.sample, { base: '/' })) {
      const loaded = await Promise.all(bundledNames().map((name) => loadPlugin(name, '/')))
      output.out(printSample(loaded.map(({ plugin }) => plugin)))
      return exit.ok
    }
    // With mistakes in it, the printed file would not be what the deployer wrote.
    if (plan.problems.length > 0) return reportProblems(plan.problems, output)
    output.out(printSettings(plan.settings))
    return exit.ok
  },
}
