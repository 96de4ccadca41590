import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { type RsyncVersion, rsyncVersion, SystemError } from '../../../core/api.js'
import { daemonArguments } from './child.js'

/** Milliseconds for rsync to say its first line. */
const patience = 10_000
const longest = 1024
const form = /^@RSYNCD: \d{2,3}\.\d{1,5}(?: [\w.:-]{1,32}){0,20}\n/

/** How the installed rsync wants to be met. */
export interface Manners {
  /**
   * What clients are greeted with: to the letter what it says itself, since client and rsync each work out from the
   * other's greeting how they will speak.
   */
  readonly greeting: string
  /**
   * An option to be said in front of those of the client. From 3.2.3 on an rsync without a socket of its own has its
   * errors go where nobody sees them; with it they go to the client, as those of a daemon do.
   */
  readonly option: string | undefined
  readonly version: RsyncVersion
}

/** The rsync of this machine. */
export class Installed {
  readonly #config: string
  #known: Manners | undefined
  #asking: Promise<Manners> | undefined

  /** @param config a file of rsyncd.conf */
  constructor(config: string) {
    this.#config = config
  }

  /** @throws SystemError when rsync cannot be had; the next call asks again */
  async manners(): Promise<Manners> {
    if (this.#known !== undefined) return this.#known
    this.#asking ??= ask(this.#config).finally(() => {
      this.#asking = undefined
    })
    this.#known = await this.#asking
    return this.#known
  }

  /** Another rsync has been installed. */
  forget(): void {
    this.#known = undefined
  }
}

async function ask(config: string): Promise<Manners> {
  const [greeting, option, version] = await Promise.all([
    greetingWith(config),
    knows('--no-msgs2stderr'),
    rsyncVersion(),
  ])
  return { greeting, option, version }
}

/** @returns the option, when rsync has it */
const knows = (option: string): Promise<string | undefined> =>
  promisify(execFile)('rsync', [option, '--version'], { timeout: patience, killSignal: 'SIGKILL' }).then(
    () => option,
    () => undefined,
  )

function greetingWith(config: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const rsync = spawn('rsync', daemonArguments(config), {
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: patience,
      killSignal: 'SIGKILL',
    })
    let said = ''
    const end = () => {
      rsync.kill('SIGKILL')
      const line = form.exec(said)?.[0]
      if (line !== undefined) resolve(line)
      else reject(noGreeting())
    }
    rsync.once('error', end)
    rsync.once('close', end)
    rsync.stdin.on('error', () => undefined)
    rsync.stdout.setEncoding('latin1').on('data', (text: string) => {
      said += text
      if (said.includes('\n') || said.length > longest) end()
    })
  })
}

const noGreeting = (): SystemError =>
  new SystemError('UNAVAILABLE', 'the installed rsync does not greet as a daemon', {
    hint: 'see whether "rsync --version" works',
  })
