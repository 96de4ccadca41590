import { execFile } from 'node:child_process'

/** Milliseconds that a program may take to say what it is, and bytes that it may say. */
const patience = 10_000
const longest = 65_536

/**
 * What a program says on standard output when it is asked about itself: its version, what it can do.
 * @returns undefined where it is not installed, fails, or says too much or nothing in time
 */
export function outputOf(program: string, args: readonly string[]): Promise<string | undefined> {
  const env = { PATH: process.env.PATH, LC_ALL: 'C' }
  const bounds = { timeout: patience, killSignal: 'SIGKILL', maxBuffer: longest, encoding: 'utf8' } as const
  return new Promise((resolve) => {
    execFile(program, args, { ...bounds, env }, (error, said) => resolve(error === null ? said : undefined))
  })
}
