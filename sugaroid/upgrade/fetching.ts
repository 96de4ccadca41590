import { spawn } from 'node:child_process'
import { MissingProgram } from '../errors.js'

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

/** Runs rsync against the modules of a server. Throws a MissingProgram without rsync. */
export function fetchWith(
  args: readonly string[],
  told: (progress: Progress) => void = () => undefined,
): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const { PATH = '' } = process.env
    const child = spawn('rsync', ['--contimeout=30', ...args], {
      env: { PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let said = ''
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new MissingProgram('rsync', 'rsync') : error),
    )
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      if (out.length < mostOut) out += text
      const [, bytes, percent] = /([0-9]{1,15}) +([0-9]{1,3})%[^%]*$/.exec(text) ?? []
      if (bytes !== undefined) told({ bytes: Number(bytes), percent: Number(percent) })
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-mostSaid)
    })
    child.on('close', (code, signal) => {
      if (signal) said += `rsync was ended by ${signal}`
      resolve({ code: code ?? interrupted, out, said: said.trim() })
    })
  })
}
