import type { ChildProcess } from 'node:child_process'

/** Milliseconds that rsync has to clean up after itself. */
const grace = 2000

/**
 * Ends a program and all that it has started: rsync is several processes. It must have been started with `detached`,
 * which makes it the first of a group.
 */
export function endGroup(child: ChildProcess): void {
  signalGroup(child, 'SIGTERM')
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), grace)
  child.once('close', () => clearTimeout(timer))
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended by itself.
  }
}
