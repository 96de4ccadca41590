import { type ChildProcess, type StdioPipe, spawn } from 'node:child_process'

/** What rsync is started with; an argument list, never a shell. */
export interface RsyncRun {
  readonly args: readonly string[]
  readonly cwd: string
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
}

/** Milliseconds that rsync has to clean up after itself. */
const grace = 2000

/**
 * Starts rsync as the first of a group of processes: it is several itself, and they are ended together.
 * @param ends its standard input and output; standard error is always a pipe
 * @param failed is called, at once or a little later, with the reason when it cannot be started
 * @returns undefined when it cannot
 */
export function startRsync(
  { args, cwd, env }: RsyncRun,
  ends: StdioPipe | 'inherit',
  failed: (error: unknown) => void,
): ChildProcess | undefined {
  try {
    const rsync = spawn('rsync', args, { cwd, env, detached: true, stdio: [ends, ends, 'pipe'] })
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
