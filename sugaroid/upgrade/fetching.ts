import { spawn } from 'node:child_process'
import { MissingProgram } from '../errors.js'
import { missing, tethered } from './tether.js'

/** How far a transfer is. */
export interface Progress {
  readonly bytes: number
  readonly percent: number
}

/** How an rsync from a server's modules ended. */
export interface Fetched {
  /** rsync's own; 0 when all is well. */
  readonly code: number
  /** Standard output: its first million characters. */
  readonly out: string
  /** The last of what came on standard error. */
  readonly said: string
}

const mostOut = 1_000_000
const mostSaid = 4000

/** rsync's own exit code for a signal. */
const interrupted = 20

/** Milliseconds that an rsync has to put aside what it was receiving. */
const farewell = 5000

/**
 * Runs rsync against the modules of a server. It leads a group of its own, which ends when the signal aborts: its
 * halves, one of which writes and one of which asks, must not be left behind, nor when this process is killed. Throws a
 * MissingProgram without rsync.
 */
export async function fetchWith(
  args: readonly string[],
  {
    told,
    signal,
  }: { readonly told?: (progress: Progress) => void; readonly signal?: AbortSignal | undefined },
): Promise<Fetched> {
  const [program, ...before] = await tethered('rsync')
  return new Promise((resolve, reject) => {
    const { PATH = '' } = process.env
    const child = spawn(program, [...before, '--contimeout=30', ...args], {
      env: { PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let last: NodeJS.Timeout | undefined
    const end = () => {
      endGroup(child.pid, 'SIGTERM')
      last = setTimeout(() => endGroup(child.pid, 'SIGKILL'), farewell)
    }
    if (signal?.aborted) end()
    signal?.addEventListener('abort', end, { once: true })
    const over = () => {
      clearTimeout(last)
      signal?.removeEventListener('abort', end)
    }
    let out = ''
    let said = ''
    child.on('error', (error: NodeJS.ErrnoException) => {
      over()
      reject(error.code === 'ENOENT' ? noRsync() : error)
    })
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      if (out.length < mostOut) out += text
      const [, bytes, percent] = /([0-9]{1,15}) +([0-9]{1,3})%[^%]*$/.exec(text) ?? []
      if (bytes !== undefined) told?.({ bytes: Number(bytes), percent: Number(percent) })
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-mostSaid)
    })
    child.on('close', (code, ending) => {
      over()
      if (code === missing) return reject(noRsync())
      if (ending) said += `rsync was ended by ${ending}`
      resolve({ code: code ?? interrupted, out, said: said.trim() })
    })
  })
}

const noRsync = () => new MissingProgram('rsync', 'rsync')

function endGroup(leader: number | undefined, signal: NodeJS.Signals): void {
  if (leader === undefined) return
  try {
    process.kill(-leader, signal)
  } catch {
    // It has ended by itself.
  }
}
