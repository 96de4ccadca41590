import { main } from '../../../core/cli/main.js'
import type { Output } from '../../../core/control/output.js'
import { withTypedCommands } from '../../../core/lib/typed-program.js'
import { temporaryDirectory } from '../temporary-directory.js'
import type { Finished, Given, Owner } from './server-process.js'

let last: Promise<unknown> = Promise.resolve()

/**
 * Runs `sugar-server ...` to its end in the test's own process, as its program does: for the many words of a test of
 * which some were given to a process of its own already. A process has one home, directory and umask, so one runs at a
 * time.
 */
export async function cliHere(
  t: Owner,
  args: readonly string[],
  { home, cwd }: Pick<Given, 'home' | 'cwd'> = {},
): Promise<Finished> {
  const place = home ?? (await temporaryDirectory(t))
  const ended = last.then(() => at(place, cwd ?? place, args))
  last = ended.catch(() => undefined)
  return ended
}

async function at(home: string, cwd: string, args: readonly string[]): Promise<Finished> {
  const said = { out: '', err: '' }
  const output: Output = {
    out: (text) => {
      said.out += text
    },
    err: (text) => {
      said.err += withTypedCommands(text)
    },
  }
  const before = { home: process.env.HOME, cwd: process.cwd(), umask: process.umask() }
  process.env.HOME = home
  process.chdir(cwd)
  try {
    return { code: await main(args, output), signal: null, ...said }
  } finally {
    if (before.home === undefined) delete process.env.HOME
    else process.env.HOME = before.home
    process.chdir(before.cwd)
    process.umask(before.umask)
  }
}
