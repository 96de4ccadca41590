import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/process.js'

/** The peer: rsync's own daemon, with nothing around it. */
export class Daemon {
  readonly port: number
  readonly #config: string
  readonly #child: ChildProcess
  #lines: readonly string[] = [
    'use chroot = no',
    'numeric ids = yes',
    'read only = yes',
    'reverse lookup = no',
  ]

  private constructor(port: number, config: string, child: ChildProcess) {
    this.port = port
    this.#config = config
    this.#child = child
  }

  static async open(folder: string): Promise<Daemon> {
    const config = join(folder, 'daemon.conf')
    const port = await freePort()
    await writeFile(config, '')
    const words = ['--daemon', '--no-detach', `--config=${config}`, `--port=${port}`, '--address=127.0.0.1']
    // Given a socket as its input, which node's pipes are, it takes itself for a child of inetd.
    const child = spawn('rsync', [...words, '--log-file=/dev/null'], { stdio: 'ignore' })
    const daemon = new Daemon(port, config, child)
    if (process.geteuid?.() === 0) daemon.#lines = [...daemon.#lines, 'uid = 0', 'gid = 0']
    while (!(await answers(port))) await sleep(20)
    return daemon
  }

  /** Serves one directory more; it reads its settings for each connection. */
  async publish(name: string, path: string): Promise<void> {
    this.#lines = [...this.#lines, `[${name}]`, `path = ${path}`]
    await writeFile(this.#config, `${this.#lines.join('\n')}\n`)
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.kill('SIGTERM')
    await once(this.#child, 'exit')
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const end = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.once('error', () => end(false))
    socket.once('data', () => end(true))
    socket.once('close', () => end(false))
  })
