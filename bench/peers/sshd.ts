/** The peer of the bench "backup": OpenSSH's sshd, with nothing between it and rsync. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/process.js'
import { sendByRsync } from '../support/rsync.js'
import { processorTime, run } from '../support/run.js'
import type { Taken } from '../support/turns.js'

const program = '/usr/sbin/sshd'

export class Sshd {
  readonly #child: ChildProcess
  readonly #port: number
  readonly #authorized: string

  private constructor(child: ChildProcess, port: number, authorized: string) {
    this.#child = child
    this.#port = port
    this.#authorized = authorized
  }

  /** @param folder is made; keys and settings come into it */
  static async open(folder: string): Promise<Sshd> {
    await mkdir(folder, { mode: 0o700 })
    // Where it keeps nothing, and yet wants a directory.
    if (userInfo().uid === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
    const key = join(folder, 'host')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const authorized = join(folder, 'authorized_keys')
    await writeFile(authorized, '', { mode: 0o600 })
    const port = await freePort()
    const settings = [
      ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${key}`, `AuthorizedKeysFile ${authorized}`],
      ...['StrictModes no', 'UsePAM no', 'PidFile none', 'PermitRootLogin prohibit-password'],
      ...['PasswordAuthentication no', 'MaxStartups 500:30:1000', 'PrintMotd no', 'PrintLastLog no'],
      // Else bash reads the user's .bashrc before it starts rsync.
      'SetEnv SHLVL=5',
    ]
    const config = join(folder, 'sshd_config')
    await writeFile(config, `${settings.join('\n')}\n`)
    const child = spawn(program, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] })
    await new Promise<void>((resolve, reject) => {
      let words = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        words += text
        if (words.includes('Server listening')) resolve()
      })
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`sshd ended with ${code}: ${words}`)))
    })
    child.stderr.removeAllListeners('data').resume()
    return new Sshd(child, port, authorized)
  }

  /** Lets the owner of a key in. @param key file of the private key */
  async admit(key: string): Promise<void> {
    await writeFile(this.#authorized, await readFile(`${key}.pub`), { flag: 'a' })
  }

  async send(key: string, folder: string, path: string): Promise<Taken> {
    const before = this.#work
    const { username: user } = userInfo()
    const { seconds } = await sendByRsync(folder, { key, port: this.#port, user, path: `${path}/` })
    return { seconds, work: this.#work - before }
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGTERM')
    await ended
  }

  get #work(): number {
    return processorTime(this.#child.pid ?? 0)
  }
}
