import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { main } from '../../../core/cli/main.js'
import type { Finished } from './server-process.js'

/**
 * Runs `sugar-server ...` to its end within the test's own process: for tests that do not test how that process begins
 * and ends. The server that it speaks to is a process of its own. Nobody's own settings interfere.
 */
export async function cliHere(args: readonly string[]): Promise<Finished> {
  const said = { out: '', err: '' }
  const output = {
    out: (text: string) => {
      said.out += text
    },
    err: (text: string) => {
      said.err += text
    },
  }
  const { HOME } = process.env
  process.env.HOME = join(tmpdir(), 'no-home')
  // The settings files are looked for at once, before this returns.
  const ended = main(args, output)
  if (HOME === undefined) delete process.env.HOME
  else process.env.HOME = HOME
  const code = await ended
  return { code, signal: null, ...said }
}
