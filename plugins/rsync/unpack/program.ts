import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { setPriority } from 'node:os'
import { SystemError, systemCode } from '../../../core/api.js'

/** Debian packages of the programs that are run here. */
const packages = {
  bzip2: 'bzip2',
  fakeroot: 'fakeroot',
  gzip: 'gzip',
  setfattr: 'attr',
  sync: 'coreutils',
  tar: 'tar',
  xz: 'xz-utils',
} as const

export type ProgramName = keyof typeof packages

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null
  /** The end of what it said on standard error, on one line. */
  readonly said: string
}

export interface Program {
  readonly process: ChildProcess
  /** @throws SystemError PROGRAM_MISSING when it is not there; that of `signal` when it was stopped */
  readonly ended: Promise<Ended>
}

export interface Run {
  readonly stdio: StdioOptions
  readonly cwd?: string
  readonly signal: AbortSignal
}

/** Milliseconds that any of them may work: a board that is slow, on the largest tree that may be. */
const longest = 6 * 3600_000
/** Characters that are kept of what it says. */
const longestSaying = 2000
/** Laptops that fetch something go first. */
const niceness = 10

/** Runs a program with none of our environment, whose variables could tell it to do something else. */
export function start(name: ProgramName, args: readonly string[], { stdio, cwd, signal }: Run): Program {
  signal.throwIfAborted()
  const child = spawn(name, args, {
    stdio,
    ...(cwd !== undefined && { cwd }),
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  })
  makeNice(child.pid)
  let said = ''
  child.stderr?.setEncoding('latin1').on('data', (text: string) => {
    said = (said + text).slice(-longestSaying)
  })
  const stop = () => child.kill('SIGKILL')
  signal.addEventListener('abort', stop)
  // Node's own time limit would outlive a program that could not be started.
  const timer = setTimeout(stop, longest)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', (cause) => reject(missing(name, cause)))
    child.once('close', (code: number | null) => {
      if (signal.aborted) reject(signal.reason)
      else resolve({ code, said: said.trim().replaceAll('\n', '; ') })
    })
  }).finally(() => {
    signal.removeEventListener('abort', stop)
    clearTimeout(timer)
  })
  // Whoever starts it may have something else to wait for first.
  ended.catch(() => undefined)
  return { process: child, ended }
}

function makeNice(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, niceness)
  } catch {
    // It has ended already.
  }
}

const missing = (name: ProgramName, cause: Error): SystemError =>
  systemCode(cause) === 'ENOENT'
    ? new SystemError('PROGRAM_MISSING', `the program ${name} is not installed`, {
        hint: `install the package ${packages[name]}: apt-get install ${packages[name]}`,
      })
    : new SystemError('UNAVAILABLE', `the program ${name} cannot be started (${systemCode(cause)})`, {
        hint: 'see whether this machine has memory and processes left',
        cause,
      })
