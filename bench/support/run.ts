import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Ran {
  readonly seconds: number
  readonly output: string
}

/**
 * Runs a program to its end.
 * @throws Error with what it said on standard error, when it does not end with 0
 */
export async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const began = performance.now()
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, LC_ALL: 'C', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let words = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text
  })
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${words.trim()}`)
  return { seconds: (performance.now() - began) / 1000, output }
}

/** Whether a program is installed. */
export const isThere = (program: string): Promise<boolean> =>
  run('which', [program]).then(
    () => true,
    () => false,
  )

/** Jiffies of /proc, in a second: the kernel tells this number to everybody, whatever its own clock does. */
const jiffies = 100

/** Seconds of processor time that a process has had, with all that it has started and that has ended. */
export function processorTime(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / jiffies
}
