import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { judgedStream } from '../../../core/lib/rsync/judged-stream.js'
import { StreamHead, type StreamShape } from '../../../core/lib/rsync/stream-head.js'
import { endRsync, type RsyncRun, startRsync } from '../transport/rsync-process.js'
import { type Fields, lineOf, readLines } from '../transport/sshd/lines.js'
import { overhear } from '../transport/words.js'
import { complain, exit, print, reach } from './server.js'

/** Characters of a command that are passed on; the server takes fewer. */
const longest = 8192
/** Milliseconds between looks whether the laptop is still there. */
const look = 1000

/**
 * What sshd runs in place of whatever a laptop asked for: `sugar-server backup door --root ROOT UID`. It asks the
 * server, starts rsync with sshd's own pipe as its output, passes on what the laptop sends, and says how it went.
 *
 * @returns the exit code for the laptop
 */
export async function main(args: readonly string[]): Promise<number> {
  // Read at once: it changes when sshd's process ends.
  const parent = process.ppid
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
  return attend(server, parent)
}

/** Does what the server says until it says how to end. @param parent the process that started this one */
function attend(server: Socket, parent: number): Promise<number> {
  let rsync: ChildProcess | undefined
  let running: Promise<void> | undefined
  let said: number | undefined
  const stop = () => {
    if (rsync === undefined) server.destroy()
    else endRsync(rsync)
  }
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.on(signal, stop)
  // A laptop that hangs up takes sshd's process with it, and nothing else tells of it until rsync reads.
  const watch = setInterval(() => process.ppid !== parent && rsync === undefined && stop(), look)
  const tell = (value: object) => {
    if (server.writable) server.write(lineOf(value))
  }
  const start = (run: Run) => {
    rsync = startRsync(run, 'inherit', () => complain('the server cannot run rsync', 'tell your teacher'))
    if (!rsync?.stderr || !rsync.stdin) return tell({ ended: null })
    const { stdin, stderr } = rsync
    const overheard = overhear(stderr)
    // rsync may end before it has read everything.
    stdin.on('error', () => process.stdin.unpipe(judged).resume())
    const judged = judgedStream(new StreamHead(run.shape), ({ message, hint }) =>
      tell({ refused: message, hint }),
    )
    process.stdin.pipe(judged).pipe(stdin)
    running = new Promise((resolve) => {
      rsync?.once('close', (code) => {
        rsync = undefined
        process.stdin.destroy()
        print(overheard())
        tell({ ended: code })
        resolve()
      })
    })
    tell({ started: rsync.pid })
  }
  readLines(
    server,
    (told) => {
      if (isRun(told)) start(told)
      else if (told.abort !== undefined) {
        complain(told.abort, told.hint)
        stop()
      } else if (typeof told.exit === 'number') {
        complain(told.message, told.hint)
        said = told.exit
        server.end()
      }
    },
    () => server.destroy(),
  )
  return new Promise((resolve) => {
    server.once('close', async () => {
      clearInterval(watch)
      if (said === undefined) {
        complain('the server has stopped', 'try again later')
        stop()
        await running
      }
      resolve(said ?? exit.tempFail)
    })
  })
}

type Run = RsyncRun & { readonly shape: StreamShape }

const isRun = (told: Fields): told is Fields & Run => Array.isArray(told.args)
