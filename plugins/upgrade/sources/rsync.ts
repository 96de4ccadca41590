import { spawn } from 'node:child_process'
import { limitWords, RequestError, systemCode } from '../../../core/api.js'

/** How an rsync ended. */
export interface Ended {
  readonly code: number
  readonly out: string
  /** What it said on standard error: the last of it. */
  readonly said: string
}

const mostOut = 1 << 20
const mostSaid = 2000
/** Milliseconds that rsync has to clean up after itself. */
const grace = 2000

/** Linux ends it with this server, also when that is killed: otherwise it would write where the next one does. */
const withUs = ['--pdeathsig', 'TERM', '--']

/** A tree of a million files takes 150 MB of address space; a slow processor checks 16 GB within the hour. */
const limits = { memory: 512 << 20, cpu: 4 * 3600 }

/**
 * Runs rsync, as the first of a group of processes: it is several itself, and they are ended together. Without a
 * terminal, so that it asks nobody for a password.
 * @param heard is called with each piece of standard output; what is kept of it is its beginning
 * @param longest milliseconds after which it is ended
 * @throws RequestError when it cannot be started or takes too long; the signal's reason
 */
export function runRsync(
  args: readonly string[],
  { signal, longest, heard }: { signal: AbortSignal; longest: number; heard?: (text: string) => void },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const rsync = spawn('setpriv', [...withUs, ...limitWords(limits), 'rsync', ...args], {
      cwd: '/',
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let out = ''
    let said = ''
    let reason: unknown
    rsync.stdout.setEncoding('latin1').on('data', (text: string) => {
      if (out.length < mostOut) out += text
      heard?.(text)
    })
    rsync.stderr.setEncoding('latin1').on('data', (text: string) => {
      said = (said + text).slice(-mostSaid)
    })
    const tell = (sign: NodeJS.Signals) => {
      try {
        if (rsync.pid !== undefined) process.kill(-rsync.pid, sign)
      } catch {
        // It has ended by itself.
      }
    }
    let kill: NodeJS.Timeout | undefined
    const end = (why: unknown) => {
      reason ??= why
      tell('SIGTERM')
      kill ??= setTimeout(() => tell('SIGKILL'), grace)
    }
    const abort = () => end(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const late = setTimeout(
      () =>
        end(new RequestError('UNAVAILABLE', `rsync has not come to an end in ${longest / 60_000} minutes`)),
      longest,
    )
    const stop = () => {
      signal.removeEventListener('abort', abort)
      clearTimeout(late)
      clearTimeout(kill)
    }
    rsync.on('error', (error) => {
      stop()
      reject(
        new RequestError('UNAVAILABLE', `rsync cannot be started by setpriv (${systemCode(error)})`, {
          cause: error,
        }),
      )
    })
    rsync.on('close', (code, killedBy) => {
      stop()
      if (reason !== undefined) reject(reason)
      else if (killedBy !== null) resolve({ code: 20, out, said: `rsync was ended by ${killedBy}` })
      else resolve({ code: code ?? 20, out, said })
    })
  })
}
