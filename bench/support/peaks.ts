import { readFileSync } from 'node:fs'

/** Milliseconds. */
const between = 50

/** Watches how much memory a server and the process that keeps its archive ever have resident. */
export class Peaks {
  /** In MB. */
  server = 0
  archive = 0
  readonly #pid: number
  readonly #timer: NodeJS.Timeout

  constructor(pid: number) {
    this.#pid = pid
    this.#timer = setInterval(() => this.#look(), between)
  }

  end(): void {
    clearInterval(this.#timer)
    this.#look()
  }

  #look(): void {
    this.server = Math.max(this.server, peakOf(this.#pid))
    for (const child of textOf(`/proc/${this.#pid}/task/${this.#pid}/children`).split(' ')) {
      if (child !== '' && textOf(`/proc/${child}/cmdline`).includes('archive/process.js'))
        this.archive = Math.max(this.archive, peakOf(Number(child)))
    }
  }
}

/** The kernel keeps the peak itself, so that none falls between two looks. */
const peakOf = (pid: number): number =>
  Number(/VmHWM:\s+(\d+)/.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0) / 1024

/** What is in a file of /proc; nothing when the process is gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
