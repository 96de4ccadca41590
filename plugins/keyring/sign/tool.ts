import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import { printable } from '../../../core/api.js'

/** Bytes of what a tool says that are kept. */
const most = 4096

export interface Run {
  /** Absolute path. */
  readonly program: string
  readonly args: readonly string[]
  /** For its standard input. */
  readonly input: Buffer
  /** Where it works. */
  readonly folder: string
  /** How long it may take. */
  readonly seconds: number
}

/**
 * Runs a program that takes a text and gives one back.
 * @returns its standard output, 4,096 bytes at most
 * @throws Error that says how it ended, when not well
 */
export async function runTool({ program, args, input, folder, seconds }: Run): Promise<string> {
  const name = basename(program)
  const child = spawn(program, args, {
    cwd: folder,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own, so that what it has started ends with it.
    detached: true,
  })
  const said = { out: '', err: '' }
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    said.out = (said.out + text).slice(0, most)
  })
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    said.err = (said.err + text).slice(-200)
  })
  // One that ends before it has read everything says so by its exit code.
  child.stdin.on('error', () => undefined).end(input)
  let late = false
  const timer = setTimeout(() => {
    late = true
    end(child.pid)
    // What has left the group may hold on to them.
    for (const stream of child.stdio) stream?.destroy()
  }, seconds * 1000)
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    if (late) throw new Error(`${name} did not end within ${seconds} s`)
    if (code !== 0) {
      const why = said.err.trim() === '' ? '' : `: ${printable(said.err.trim())}`
      throw new Error(`${name} ended with ${signal ?? `exit code ${code}`}${why}`)
    }
    return said.out
  } finally {
    clearTimeout(timer)
  }
}

/** SIGKILL to a program and those it has started. */
function end(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
}
