import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerChannel } from 'ssh2'
import { judgedStream, type Logger, RequestError, StreamHead } from '../../../../core/api.js'
import type { Caller, Session, Sessions } from '../../session/session.js'
import { refusalLines, refusalOf } from '../refusal.js'
import { endRsync, startRsync } from '../rsync-process.js'
import { overhear } from '../words.js'
import { say } from './channel.js'

/** What one command needs of the connection that it came by. */
export interface Line {
  readonly channel: ServerChannel
  readonly socket: Socket
  /** Aborted when the client hangs up. */
  readonly gone: AbortSignal
  readonly log: Logger
}

/** Bytes on their way to the network beyond which rsync waits. */
const mostUnsent = 1 << 20
/** Milliseconds that a client has to fetch the rest of the output, once rsync has ended. */
const patience = 60_000

/** Runs what a laptop asked for, from the question to the exit code. Never throws. */
export async function execute(
  sessions: Sessions,
  caller: Caller,
  command: string,
  line: Line,
): Promise<void> {
  const { channel, gone, log } = line
  // What a client sends beside the purpose must not keep its channel from closing.
  const discard = () => {
    channel.unpipe()
    channel.resume()
  }
  channel.on('error', discard)
  channel.stderr.on('error', discard)
  gone.addEventListener('abort', discard, { once: true })
  let words = ''
  let exit: number
  try {
    const session = await sessions.open(caller, command, gone)
    ;({ words, exit } = await run(session, line))
  } catch (error) {
    const refusal = refusalOf(error, log)
    words = refusalLines(refusal)
    exit = refusal.exit
  }
  discard()
  say(channel, words)
  channel.exit(exit)
  channel.end()
}

/** Runs rsync with the client at its ends. @returns what the client is told on standard error, and the exit code */
async function run(session: Session, line: Line): Promise<{ words: string; exit: number }> {
  const { channel, gone, log } = line
  if (gone.aborted || session.signal.aborted) {
    const words = session.signal.aborted ? ending(session) : ''
    return { words, exit: await session.ended(null) }
  }
  const failed = (error: unknown) => log.error({ err: error }, 'rsync cannot be run')
  const rsync = startRsync(session, 'pipe', failed)
  if (!rsync?.pid || !rsync.stdin || !rsync.stdout || !rsync.stderr) {
    const words = refusalLines({ message: 'the server cannot run rsync; tell your teacher' })
    return { words, exit: await session.ended(null) }
  }
  const { stdin, stdout, stderr } = rsync
  const ended = new Promise<number | null>((resolve) => rsync.once('close', resolve))
  session.started(rsync.pid)

  // rsync may end before it has read everything.
  stdin.on('error', () => {
    channel.unpipe(judged)
    channel.resume()
  })
  const judged = judgedStream(new StreamHead(session.shape), (reason) => session.refuse(reason))
  channel.pipe(judged).pipe(stdin)
  const sent = pour(stdout, line)
  const overheard = overhear(stderr)

  let ours = ''
  // What nobody fetches is dropped, so that the pipe closes.
  const drop = () => void stdout.removeAllListeners('data').resume()
  let late: NodeJS.Timeout | undefined
  rsync.once('exit', () => {
    late = setTimeout(drop, patience)
  })
  const hangUp = () => {
    endRsync(rsync)
    stdin.destroy()
    drop()
  }
  const breakOff = () => {
    ours = ending(session)
    endRsync(rsync)
    drop()
  }
  gone.addEventListener('abort', hangUp, { once: true })
  session.signal.addEventListener('abort', breakOff, { once: true })
  const code = await ended
  clearTimeout(late)
  gone.removeEventListener('abort', hangUp)
  session.signal.removeEventListener('abort', breakOff)
  const exit = await session.ended(code)
  await sent()
  const refused = session.refusal === undefined ? '' : refusalLines(session.refusal)
  return { words: overheard() + ours + refused, exit }
}

const ending = ({ signal }: Session): string => {
  const reason: unknown = signal.reason
  if (reason instanceof RequestError) return refusalLines(reason)
  return refusalLines({ message: reason instanceof Error ? reason.message : 'the server ended the transfer' })
}

/**
 * Passes output on, piece by piece: the next is read when the last has gone into the network. ssh2 minds what the
 * client says it takes, which may be gigabytes, and not whether the network takes it.
 * @returns a function that waits until the client has everything, has gone, or takes too long
 */
function pour(output: Readable, { channel, socket, gone }: Line): () => Promise<void> {
  let busy: Promise<void> | undefined
  let done = () => {}
  gone.addEventListener('abort', () => done(), { once: true })
  const pass = (piece: Buffer) =>
    new Promise<void>((resolve) => {
      done = resolve
      if (gone.aborted) resolve()
      channel.write(piece, () => {
        if (socket.writableLength < mostUnsent) resolve()
        else socket.once('drain', resolve)
      })
    })
  output.on('data', (piece: Buffer) => {
    output.pause()
    busy = pass(piece).then(() => void output.resume())
  })
  return async () => {
    const enough = new AbortController()
    const tooLong = sleep(patience, undefined, { signal: enough.signal }).catch(() => {})
    await Promise.race([busy, tooLong])
    enough.abort()
  }
}
