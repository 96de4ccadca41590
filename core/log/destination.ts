import { write } from 'node:fs'

/** Bytes that wait until they can be written; lines beyond are left out, and counted. */
const mostWaiting = 1 << 20
/** Bytes that are handed to the system at once. */
const mostAtOnce = 64 << 10
/** Milliseconds until a reader that is stuck, or a disk that is full, is tried again. */
const [soon, later] = [100, 1000]

/**
 * Writes lines to a file descriptor and never waits for it: a stuck terminal or journal and a full disk must not stop a
 * school, nor keep the server from ending. The descriptor must not block, as node sees to when it opens
 * `process.stderr`.
 */
export class Destination {
  readonly #fd: number
  /** @param lost lines were left out, since the descriptor took none: the line to write once it does again */
  readonly #notice: (lost: number, code: string) => string
  #lines: string[] = []
  /** What was handed over and not taken yet. */
  #rest: Buffer | undefined
  #bytes = 0
  #lost = 0
  #code = ''
  #isBusy = false
  #idle: (() => void)[] = []

  constructor(fd: number, notice: (lost: number, code: string) => string) {
    this.#fd = fd
    this.#notice = notice
  }

  /** @param line ends with a line feed */
  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#bytes + bytes > mostWaiting) {
      this.#lost += 1
      return
    }
    this.#bytes += bytes
    this.#lines.push(line)
    if (!this.#isBusy) this.#send()
  }

  /** @returns when all is written, or after so many milliseconds */
  flush(patience = 1000): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#isBusy) return resolve()
      const late = setTimeout(resolve, patience)
      this.#idle.push(() => {
        clearTimeout(late)
        resolve()
      })
    })
  }

  #send(): void {
    this.#rest ??= this.#next()
    if (this.#rest === undefined) {
      this.#isBusy = false
      for (const told of this.#idle.splice(0)) told()
      return
    }
    this.#isBusy = true
    write(this.#fd, this.#rest, (error, count) => {
      if (error !== null) {
        this.#code = error.code ?? error.message
        setTimeout(() => this.#send(), this.#code === 'EAGAIN' ? soon : later).unref()
        return
      }
      this.#bytes -= count
      this.#rest = this.#rest?.subarray(count)
      if (this.#rest?.length === 0) this.#rest = undefined
      this.#send()
    })
  }

  #next(): Buffer | undefined {
    if (this.#lines.length === 0) {
      if (this.#lost === 0) return undefined
      const notice = this.#notice(this.#lost, this.#code)
      this.#lost = 0
      this.#bytes += Buffer.byteLength(notice)
      return Buffer.from(notice)
    }
    let characters = 0
    let count = 0
    while (count < this.#lines.length && characters < mostAtOnce) {
      characters += this.#lines[count]?.length ?? 0
      count += 1
    }
    return Buffer.from(this.#lines.splice(0, count).join(''))
  }
}
