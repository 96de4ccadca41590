import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import { Destination } from './destination.js'
import { Flood, type LeftOut } from './flood.js'
import { type Kind, kindOf, pluginOf } from './kind.js'
import { readable } from './readable.js'
import { shorten } from './shorten.js'

export type { Logger } from 'pino'

export interface Log {
  logger: Logger
  /** Writes what is still waiting, before the process ends. @returns when that is done, or after a second */
  flush(): Promise<void>
}

/** The log on standard error: JSON lines, or readable ones for a terminal. */
export function openLog(level: string, { tty } = { tty: process.stderr.isTTY === true }): Log {
  const format = (line: string): string => (tty ? readable(line) : line)
  // Node has opened it by now, so that it does not block where it is a pipe or a terminal.
  const destination = new Destination(process.stderr.fd, (lost, code) => format(unwritten(lost, code)))
  const flood = new Flood((left) => destination.write(format(leftOut(left))))
  let current: Kind | undefined
  const logger = pino(
    {
      level,
      base: null,
      hooks: {
        logMethod(words, method, number) {
          const kind = kindOf(pluginOf(this), number, pino.levels.labels[number] ?? '', words)
          if (!flood.admit(kind)) return
          current = kind
          method.apply(this, words)
        },
      },
    },
    {
      write: (line: string) => {
        if (current !== undefined) flood.charge(current, line.length)
        destination.write(format(shorten(line)))
      },
    },
  )
  const flush = () => {
    flood.tellNow()
    return destination.flush()
  }
  return { logger, flush }
}

const warning = (facts: object, msg: string): string =>
  `${JSON.stringify({ level: 40, time: Date.now(), ...facts, msg })}\n`

const leftOut = ({ lines, seconds, kinds }: LeftOut): string =>
  warning({ kinds }, `${lines} log lines were left out in ${seconds} s: too many in one second`)

const unwritten = (lost: number, code: string): string =>
  warning({}, `${lost} log lines were left out: the log could not be written (${code})`)

/** A last word when the log itself may not work. */
export function lastWord(message: string): void {
  try {
    writeSync(2, `sugar-server: ${message}\n`)
  } catch {
    // Standard error takes nothing.
  }
}
