import type { Terminal } from '../terminal.js'
import type { Progress } from './fetching.js'

type What = 'contents' | 'root' | 'comparison'

const steps: Readonly<Record<What, string>> = {
  contents: 'Fetching the manifest.',
  root: 'Fetching the tree.',
  comparison: 'Comparing all of it with the server.',
}

/** Seconds without an answer, after which a server that does not list a build is taken to fetch it. */
const patience = 3

/** What a person is told while a build comes: each step, and every second how far it is. */
export class Commentary {
  readonly #terminal: Terminal
  readonly #beside: 'print' | 'warn'
  readonly #timer = setInterval(() => this.#tick(), 1000)
  #what: What | undefined
  #seconds = 0
  #progress: Progress = { bytes: 0, percent: 0 }
  #isListed = true

  /** @param beside where it is said: results for programs must stand alone */
  constructor(terminal: Terminal, beside: 'print' | 'warn') {
    this.#terminal = terminal
    this.#beside = beside
  }

  listed(server: string, build: string, isListed: boolean): void {
    this.#isListed = isListed
    this.#say(`${server} ${isListed ? 'lists' : 'does not list'} build-${build}.`)
  }

  begun(what: What): void {
    // What has two names comes once, so that rsync ends below.
    if (this.#what === 'root') this.#say(far({ bytes: this.#progress.bytes, percent: 100 }))
    this.#what = what
    this.#seconds = 0
    this.#say(steps[what])
  }

  progress(progress: Progress): void {
    this.#progress = progress
  }

  end(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    if (this.#what === undefined) return
    this.#seconds += 1
    if (this.#what === 'contents' && !this.#isListed && this.#seconds === patience)
      this.#say('The server does not have it yet and fetches it, which may take many minutes; waiting.')
    else
      this.#terminal.passing(
        this.#what === 'root' ? far(this.#progress) : `  ${this.#seconds} s`,
        this.#beside,
      )
  }

  #say(line: string): void {
    this.#terminal[this.#beside](line)
  }
}

const far = ({ percent, bytes }: Progress): string => `  ${percent} %, ${(bytes / 1e6).toFixed(1)} MB`
