import { type ChildProcess, type StdioPipe, spawn } from 'node:child_process'

/** What rsync is started with; an argument list, never a shell. */
export interface RsyncRun {
  /** Words that start rsync: other programs with their arguments. */
  readonly before: readonly string[]
  readonly args: readonly string[]
  readonly cwd: string
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
}

/** Milliseconds that rsync has to clean up after itself. */
const grace = 2000

/**
 * Starts rsync as the first of a group of processes: it is several itself, and they are ended together.
 * @param output its standard output; standard input and error are always pipes
 * @param failed is called, at once or a little later, with the reason when it cannot be started
 * @returns undefined when it cannot
 */
export function startRsync(
  { before, args, cwd, env }: RsyncRun,
  output: StdioPipe | 'inherit',
  failed: (error: unknown) => void,
): ChildProcess | undefined {
  const [program = '', ...words] = [...before, 'rsync', ...args]
  try {
    const rsync = spawn(program, words, { cwd, env, detached: true, stdio: ['pipe', output, 'pipe'] })
    rsync.on('error', failed)
    // Without a number it never ran, and it may never say that it has ended either.
    return rsync.pid === undefined ? undefined : rsync
  } catch (error) {
    // The rarer reasons are thrown, such as an argument list that is too long.
    failed(error)
    return undefined
  }
}

/** Ends rsync and all that it has started. */
export function endRsync(rsync: ChildProcess): void {
  signalGroup(rsync, 'SIGTERM')
  const timer = setTimeout(() => signalGroup(rsync, 'SIGKILL'), grace)
  rsync.once('close', () => clearTimeout(timer))
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended by itself.
  }
}
