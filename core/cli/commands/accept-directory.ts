import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ControlClient } from '../../control/client.js'
import { takeLock } from '../../control/lock.js'
import { exit, Problems, SugarError } from '../../errors.js'
import { type Accepted, acceptDirectory } from '../../lib/directories.js'
import type { Plan } from '../../loading/plan.js'
import { printable } from '../../log/printable.js'
import { makeRoot } from '../../root.js'
import type { HouseCommand } from '../command.js'
import { rootOf } from '../solo.js'

export const acceptDirectoryCommand: HouseCommand = {
  name: 'accept-directory',
  summary: 'Use the directory that an option names now, although the server kept its things in another one.',
  args: { name: { help: 'backup-path, rsync-root, keyring or store, as the message says that names it.' } },
  async run({ plan, args, output }) {
    const name = args.name ?? ''
    const { accepted, isRunning } = await accept(plan, name)
    const { holds, path, before, needsRestart } = accepted
    const old = before === undefined || before === path ? '' : `; before, they were in ${before}`
    output.out(`${printable(`${path} is the directory with ${holds} from now on${old}`)}\n`)
    if (isRunning && needsRestart) output.out('restart sugar-server, so that the plugin takes it up\n')
    return exit.ok
  },
}

/** In the running server, which has the lock; else here. No plugin is started: the directory is what keeps them from it. */
async function accept(plan: Plan, name: string): Promise<{ accepted: Accepted; isRunning: boolean }> {
  const root = rootOf(plan)
  try {
    return { accepted: (await new ControlClient(root).acceptDirectory(name)) as Accepted, isRunning: true }
  } catch (error) {
    if (!(error instanceof SugarError && error.code === 'NOT_RUNNING')) throw error
  }
  if (plan.problems.length > 0) throw new Problems(plan.problems)
  process.umask(0o077)
  const run = join(root, 'run')
  makeRoot(root)
  mkdirSync(run, { recursive: true, mode: 0o700 })
  const unlock = takeLock(run)
  try {
    return { accepted: acceptDirectory(plan, name), isRunning: false }
  } finally {
    unlock()
  }
}
