import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Name of a variable in the environment of the processes of one session. It finds all of them, also those that rsync
 * starts, and never another process that was given the same number later.
 */
export const markName = 'SUGAR_SERVER_SESSION'

/** Milliseconds that rsync has to clean up after itself. */
const grace = 2000
const pause = 50

/** Whether a process runs and belongs to the session with this mark. */
export async function isMarked(pid: number, mark: string): Promise<boolean> {
  try {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1')
    return environment.split('\0').includes(`${markName}=${mark}`)
  } catch {
    // It has ended, or is another user's.
    return false
  }
}

/** Ends every process of a session: SIGTERM, then SIGKILL. @returns when none is left */
export async function endMarked(mark: string): Promise<void> {
  const began = performance.now()
  for (let signal: NodeJS.Signals | 0 = 'SIGTERM'; ; signal = 0) {
    const late = performance.now() - began > grace
    const pids = await marked(mark)
    if (pids.length === 0) return
    for (const pid of pids) kill(pid, late ? 'SIGKILL' : signal)
    await sleep(pause)
  }
}

async function marked(mark: string): Promise<number[]> {
  const names = await readdir('/proc')
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map(async (pid) => ((await isMarked(pid, mark)) ? [pid] : [])))
  return found.flat()
}

function kill(pid: number, signal: NodeJS.Signals | 0): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}
