import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { endGroup } from '../transport/process-group.js'
import { type Fields, lineOf, readLines } from '../transport/sshd/lines.js'
import { overhear } from '../transport/words.js'
import { complain, exit, print, reach } from './server.js'

/** Characters of a command that are passed on; the server takes fewer. */
const longest = 8192

/**
 * What sshd runs in place of whatever a laptop asked for: `sugar-server backup door --root ROOT UID`. It asks the
 * server, starts rsync with sshd's own pipes, so that no byte of a backup passes through here, and says how it went.
 *
 * @returns the exit code for the laptop
 */
export async function main(args: readonly string[]): Promise<number> {
  const [option, root, uid, ...more] = args
  if (option !== '--root' || root === undefined || uid === undefined || more.length > 0) {
    complain(
      'usage: sugar-server backup door --root ROOT UID',
      'sshd runs this for laptops; see its settings',
    )
    return exit.usage
  }
  const server = await reach(root)
  if (typeof server === 'number') return server
  const { SSH_ORIGINAL_COMMAND: command = '', SSH_CONNECTION: connection = '' } = process.env
  const [address = ''] = connection.split(' ')
  server.write(lineOf({ uid, command: command.slice(0, longest), address }))
  return attend(server)
}

/** Does what the server says until it says how to end. */
function attend(server: Socket): Promise<number> {
  let rsync: ChildProcess | undefined
  const stop = () => rsync !== undefined && rsync.exitCode === null && endGroup(rsync)
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.on(signal, stop)
  return new Promise((resolve) => {
    let said: number | undefined
    const heard = (told: Fields) => {
      if (Array.isArray(told.args)) {
        rsync = start(told, server)
      } else if (told.abort !== undefined) {
        complain(told.abort)
        stop()
      } else if (typeof told.exit === 'number') {
        complain(told.message, told.hint)
        said = told.exit
        server.end()
      }
    }
    readLines(server, heard, () => server.destroy())
    server.once('close', () => {
      if (said !== undefined) return resolve(said)
      complain('the server has stopped', 'try again later')
      stop()
      if (rsync === undefined || rsync.exitCode !== null || rsync.signalCode !== null) resolve(exit.tempFail)
      else rsync.once('close', () => resolve(exit.tempFail))
    })
  })
}

/** Starts rsync as the server says. */
function start({ args, cwd, env }: Fields, server: Socket): ChildProcess {
  const rsync = spawn('rsync', args as string[], {
    cwd: String(cwd),
    env: env as NodeJS.ProcessEnv,
    stdio: ['inherit', 'inherit', 'pipe'],
    detached: true,
  })
  const tell = (value: object) => {
    if (server.writable) server.write(lineOf(value))
  }
  if (rsync.pid !== undefined) tell({ started: rsync.pid })
  const overheard = overhear(rsync.stderr)
  rsync.once('error', () => complain('the server cannot run rsync', 'tell your teacher'))
  rsync.once('close', (code) => {
    print(overheard())
    tell({ ended: rsync.pid === undefined ? null : code })
  })
  return rsync
}
