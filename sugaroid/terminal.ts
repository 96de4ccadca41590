import { withTypedCommands } from './typed-program.js'

/** Where a command writes, whole lines without their ends. */
export interface Terminal {
  /** Results. */
  print(line: string): void
  /** Complaints. */
  warn(line: string): void
  /**
   * How far something is, beside what print() or warn() writes: on a screen in the place of the one before, elsewhere
   * a line of its own, when nothing was said for some seconds.
   */
  passing(line: string, beside: 'print' | 'warn'): void
}

/** Standard output, or standard error. */
export interface Stream {
  readonly isTTY?: boolean
  /** Characters in a line of a screen. */
  readonly columns?: number
  write(text: string): unknown
}

/** Milliseconds without a word, after which a log is told how far something is. */
const silence = 5000

/** Back to the beginning of the line, with nothing on it. */
const wipe = '\r\u001b[K'

export function openTerminal(
  streams: Readonly<Record<'print' | 'warn', Stream>>,
  now = () => performance.now(),
): Terminal {
  let said = now()
  /** The screen that shows what will be written over. */
  let shown: Stream | undefined
  const clear = () => {
    shown?.write(wipe)
    shown = undefined
  }
  const say = (where: 'print' | 'warn', line: string) => {
    clear()
    streams[where].write(`${line}\n`)
    said = now()
  }
  return {
    print: (line) => say('print', line),
    warn: (line) => say('warn', withTypedCommands(line)),
    passing(line, beside) {
      const stream = streams[beside]
      if (stream.isTTY === true) {
        clear()
        // A line that is broken in two could not be written over.
        stream.write(line.slice(0, (stream.columns || 80) - 1))
        shown = stream
      } else if (now() - said >= silence) say(beside, line)
    },
  }
}
