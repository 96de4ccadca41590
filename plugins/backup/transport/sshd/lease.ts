import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { type Logger, RequestError } from '../../../../core/api.js'
import type { Caller, Session, Sessions } from '../../session/session.js'
import { refusalOf } from '../refusal.js'
import { type Fields, lineOf } from './lines.js'
import { endMarked, isMarked, markName } from './marked.js'

/** Milliseconds that a door has to start rsync, and to end it when it is told. */
const promptly = 10_000
/** Milliseconds between looks whether rsync still runs. */
const look = 15_000

/** What the door says, in order; closed when it has gone. */
export interface Door {
  readonly socket: Socket
  /** Aborted when the connection is closed. */
  readonly gone: AbortSignal
  /** @returns the next line, or undefined when it has gone */
  next(): Promise<Fields | undefined>
}

/**
 * One session over a door. The connection is the lease: as long as it is open the session is taken, and when it
 * closes before the door has said how rsync ended, rsync is ended from here, so that nothing writes any more when the
 * session is given back.
 */
export async function lease(
  sessions: Sessions,
  caller: Caller,
  command: string,
  door: Door,
  log: Logger,
): Promise<void> {
  const tell = (value: object) => {
    if (door.socket.writable) door.socket.write(lineOf(value))
  }
  try {
    const session = await sessions.open(caller, command, door.gone)
    // One that was broken off before it began; later the door is told at once.
    const message = session.signal.aborted ? messageOf(session.signal.reason) : undefined
    const code = message === undefined ? await watched(session, door, tell) : null
    const exit = await session.ended(code)
    const { refusal } = session
    tell({ exit, message: message ?? refusal?.message, hint: refusal?.hint })
  } catch (error) {
    tell(refusalOf(error, log))
  }
}

/** @returns rsync's exit code; null when it did not end by itself, or nobody knows */
async function watched(session: Session, door: Door, tell: (value: object) => void): Promise<number | null> {
  if (door.gone.aborted) return null
  const mark = randomUUID()
  const breakOff = () => {
    tell({ abort: messageOf(session.signal.reason), hint: hintOf(session.signal.reason) })
    // A door that was stopped does not hear it.
    setTimeout(() => door.socket.destroy(), promptly).unref()
  }
  session.signal.addEventListener('abort', breakOff, { once: true })
  const { before, args, shape, cwd, env } = session
  tell({ before, args, shape, cwd, env: { ...env, [markName]: mark } })
  const late = setTimeout(() => door.socket.destroy(), promptly)
  let watch: NodeJS.Timeout | undefined
  try {
    let heard = await door.next()
    clearTimeout(late)
    if (isPid(heard?.started)) {
      session.started(heard.started)
      watch = lookAfter(heard.started, mark, door.socket)
      heard = await door.next()
    }
    if (typeof heard?.refused === 'string') {
      const hint = typeof heard.hint === 'string' ? heard.hint : undefined
      session.refuse(new RequestError('REFUSED', heard.refused, { hint }))
      heard = await door.next()
    }
    if (heard?.ended === null || isCode(heard?.ended)) return heard.ended
    door.socket.destroy()
    await endMarked(mark)
    return null
  } finally {
    clearTimeout(late)
    clearInterval(watch)
    session.signal.removeEventListener('abort', breakOff)
  }
}

/** A door that hangs after its rsync has ended keeps the session from others: it is cut off at the second look. */
function lookAfter(pid: number, mark: string, socket: Socket): NodeJS.Timeout {
  let missed = 0
  return setInterval(async () => {
    missed = (await isMarked(pid, mark)) ? 0 : missed + 1
    if (missed > 1) socket.destroy()
  }, look).unref()
}

const isPid = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 1
const isCode = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255

const messageOf = (reason: unknown): string =>
  reason instanceof Error ? reason.message : 'the server ended the transfer'

const hintOf = (reason: unknown): string | undefined =>
  reason instanceof RequestError ? reason.hint : undefined
