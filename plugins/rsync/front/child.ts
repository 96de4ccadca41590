import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { limitWords } from '../../../core/api.js'
import type { Module } from '../public.js'

/** Milliseconds that rsync has to clean up after itself. */
const grace = 2000

export type Child = ChildProcess & {
  readonly stdin: Writable
  readonly stdout: Readable | null
  /** Whether it is the first of a group of processes. */
  readonly leads: boolean
}

/** An rsync that speaks the daemon's protocol on its standard input and output. */
export const daemonArguments = (config: string): readonly string[] => [
  '--server',
  '--daemon',
  `--config=${config}`,
  '.',
]

/**
 * Node has what it hands out as standard output block its reader, and would then be blocked itself by a client that
 * says nothing more. So it is handed out as another descriptor, and becomes the standard output here.
 */
const toThird = ['sh', '-c', 'exec "$@" >&3 3>&-', 'sh']

/**
 * fakeroot ends the daemon that it starts, which leaves the group, once rsync has ended: so the signal that ends rsync
 * must not end fakeroot. Both rsync and that daemon mind the signal all the same. fakeroot has a shell read the path of
 * its state, which is therefore one without meaning to it; and the log would not know by its number the rsync that it
 * starts.
 */
const toFakeroot = (state: string): string[] => [
  ...['sh', '-c', 'trap "" TERM; exec "$@" 4<"$0"', state, 'fakeroot', '-i', '/proc/self/fd/4', '--'],
  ...['sh', '-c', 'echo "$$ works for $PPID" >&2; exec "$@" 4<&-', 'sh'],
]

/**
 * A tree of a million files takes 150 MB of address space; compressing 16 GB takes an old processor an hour and a half.
 */
const limits = { memory: 512 << 20, cpu: 4 * 3600 }

export interface Start {
  /** An rsyncd.conf. */
  readonly config: string
  /** The two ends of the connection: `10.0.0.5 40312 10.0.0.1 873`. */
  readonly ends: string
  /** Where what it has to say for the log goes. */
  readonly said: number | 'ignore'
  /** Where its output goes; a pipe when not said. It is paused for it. */
  readonly socket?: Socket
  /** Under whose fakeroot it runs. */
  readonly owners?: Module['owners']
}

/**
 * Starts an rsync for one connection. Under fakeroot it is not the only process, and leads a group. Alone it does not:
 * that would make a session of it, and Linux may share out the processor by sessions; so many would then leave next to
 * none to this server, and be slower themselves.
 * @param failed is called, at once or a little later, with the reason when it cannot be started
 * @returns undefined when it cannot
 */
export function startChild(
  { config, ends, said, socket, owners }: Start,
  failed: (error: unknown) => void,
): Child | undefined {
  const leads = typeof owners === 'object'
  const fakeroot = leads ? toFakeroot(owners.fakeroot) : []
  const before = [...limitWords(limits), ...(socket === undefined ? [] : toThird), ...fakeroot]
  const words = [...before, 'rsync', ...daemonArguments(config)]
  const [program = '', ...args] = words
  try {
    const started = spawn(program, args, {
      cwd: '/',
      // It is how rsync learns whom it serves when it has no socket to ask.
      env: { PATH: process.env.PATH, LC_ALL: 'C', SSH_CONNECTION: ends },
      detached: leads,
      stdio: socket === undefined ? ['pipe', 'pipe', said] : ['pipe', 'ignore', said, socket],
    })
    const child = Object.assign(started, { leads }) as Child
    child.on('error', failed)
    if (child.pid === undefined) return undefined
    // It may have ended before it has read what it is told.
    child.stdin.on('error', () => undefined)
    child.stdout?.on('error', () => undefined)
    return child
  } catch (error) {
    failed(error)
    return undefined
  }
}

/** Ends rsync and all that was started with it. */
export function endChild(child: Child): void {
  if (hasEnded(child)) return
  signal(child, 'SIGTERM')
  const timer = setTimeout(() => signal(child, 'SIGKILL'), grace)
  child.once('close', () => clearTimeout(timer))
}

/** Ends rsync and all that was started with it, at once. */
export function killChild(child: Child): void {
  if (!hasEnded(child)) signal(child, 'SIGKILL')
}

/** Has one go that was told nothing yet: it greets, hears that nobody is there, and ends. @returns when it has */
export function dismissChild(child: Child): Promise<void> {
  if (hasEnded(child)) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(() => signal(child, 'SIGKILL'), grace)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.stdin.end()
  })
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

function signal(child: Child, name: NodeJS.Signals): void {
  const { pid, leads } = child
  if (pid === undefined) return
  try {
    if (leads) process.kill(-pid, name)
    else child.kill(name)
  } catch {
    // It has ended by itself.
  }
}
