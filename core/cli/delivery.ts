import { exit, systemCode } from '../errors.js'

/** Why output did not reach its reader. */
let lost: unknown

/** Keeps in mind that output was lost, for the end; a reader who has seen enough, as `head` has, is no error. */
export function bearLostReaders(): void {
  process.stderr.on('error', () => undefined)
  process.stdout.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') lost ??= error
  })
}

/**
 * Waits until everything printed has been taken: process.exit() drops what a pipe has no room for yet.
 * @returns the exit code, which is not 0 when output was lost
 */
export async function delivered(code: number): Promise<number> {
  for (const stream of [process.stdout, process.stderr])
    await new Promise<void>((resolve) => stream.write('', () => setImmediate(resolve)))
  if (lost === undefined) return code
  process.stderr.write(`sugar-server: the output could not be written (${systemCode(lost)})\n`)
  return code === exit.ok ? exit.failure : code
}
