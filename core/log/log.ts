import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import { readable } from './readable.js'

export type { Logger } from 'pino'

/** Lines a second that get through; a flood says how much it was, and no more. */
const linesPerSecond = 500
const backlog = 1 << 20

export interface Log {
  logger: Logger
  /** Writes what is still waiting. Before the process ends. */
  flush(): void
}

/** The log on standard error: JSON lines, or readable ones for a terminal. */
export function openLog(level: string, { tty } = { tty: process.stderr.isTTY === true }): Log {
  const allow = limiter((count) => destination.write(`${lost(count)}\n`))
  // Never waits for the reader: a stuck terminal or journal must not stop a school.
  const stream = pino.destination({ fd: 2, sync: false, maxLength: backlog })
  // A log that cannot be written, as on a full disk, must not either.
  stream.on('error', () => undefined)
  const destination = { write: (line: string) => void stream.write(tty ? readable(line) : line) }
  const logger = pino(
    {
      level,
      base: null,
      hooks: {
        logMethod(args, method) {
          if (allow()) method.apply(this, args)
        },
      },
    },
    destination,
  )
  const flush = () => {
    try {
      stream.flushSync()
    } catch {
      // The reader has gone: there is nobody left to tell.
    }
  }
  return { logger, flush }
}

const lost = (count: number): string =>
  JSON.stringify({
    level: 40,
    time: Date.now(),
    msg: `${count} log lines were left out: too many in one second`,
  })

/** @returns whether one more line may go out; tells how many did not, in the next second that has room */
export function limiter(
  tell: (lost: number) => void,
  now = () => Date.now(),
  most = linesPerSecond,
): () => boolean {
  let second = 0
  let lines = 0
  let left = 0
  return () => {
    const current = Math.floor(now() / 1000)
    if (current !== second) {
      second = current
      lines = 0
      if (left > 0) tell(left)
      left = 0
    }
    lines += 1
    if (lines <= most) return true
    left += 1
    return false
  }
}

/** A last word when the log itself may not work. */
export function lastWord(message: string): void {
  try {
    writeSync(2, `sugar-server: ${message}\n`)
  } catch {
    // Nobody listens.
  }
}
