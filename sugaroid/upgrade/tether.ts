import { spawn } from 'node:child_process'
import { once } from 'node:events'

const setpriv = ['setpriv', '--pdeathsig', 'TERM', '--'] as const

let known: Promise<boolean> | undefined

/**
 * A command line, with which Linux ends a program as soon as this process has ended, also by SIGKILL: otherwise it would
 * write on where the next one does. The command line as it is where no setpriv, or one of another make, can do that.
 */
export async function tethered(program: string): Promise<readonly [string, ...string[]]> {
  known ??= isAble()
  const [first, ...more] = setpriv
  return (await known) ? [first, ...more, program] : [program]
}

/** What setpriv ends with, as shells do, when there is no such program. */
export const missing = 127

async function isAble(): Promise<boolean> {
  const [program, ...args] = setpriv
  try {
    const [code] = await once(spawn(program, [...args, 'true'], { stdio: 'ignore' }), 'close')
    return code === 0
  } catch {
    return false
  }
}
