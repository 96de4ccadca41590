import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlClient } from '../../core/control/client.js'
import { type Identity, registerLaptop } from '../../sugaroid/index.js'
import { freePort, type Served, serve } from '../support/process.js'
import { sendByRsync } from '../support/rsync.js'
import { processorTime, run } from '../support/run.js'
import type { Taken } from '../support/turns.js'

const program = fileURLToPath(new URL('../../core/bin/sugar-server.js', import.meta.url))

async function* noFiles() {}

/** Our server, with the settings it comes with, and laptops that are registered with it. */
export class School {
  readonly root: string
  readonly #served: Served
  readonly #idPort: number
  readonly #sshPort: number

  private constructor(root: string, served: Served, idPort: number, sshPort: number) {
    this.root = root
    this.#served = served
    this.#idPort = idPort
    this.#sshPort = sshPort
  }

  /** @param root is made */
  static async open(root: string): Promise<School> {
    const [http, id, ssh] = [await freePort(), await freePort(), await freePort()]
    const served = await serve(process.execPath, [
      program,
      ...['--plugins', 'id,backup', '--root', root, '--host', '127.0.0.1', '--hostname', '127.0.0.1'],
      ...['--httpd-port', String(http), '--id-port', String(id), '--backup-ssh-port', String(ssh)],
      ...['--registration-limit', '0'],
    ])
    return new School(root, served, id, ssh)
  }

  get pid(): number {
    return this.#served.child.pid ?? 0
  }

  /** @param home is made */
  async register(home: string): Promise<Identity> {
    const server = { host: '127.0.0.1', port: this.#idPort }
    // Of all types that a laptop may have, the one that every OpenSSH takes without being asked.
    const { identity, result } = await registerLaptop(home, { server, xo: true, key: 'ed25519' })
    if (result.outcome !== 'registered') throw new Error(`a registration was ${result.outcome}`)
    return identity
  }

  async send({ uid, keyFile }: Identity, folder: string): Promise<Taken> {
    const before = this.#work
    const to = { key: keyFile, port: this.#sshPort, user: uid, path: 'datastore-current' }
    const { seconds } = await sendByRsync(folder, to)
    return { seconds, work: this.#work - before }
  }

  /** Waits until the snapshot is taken. */
  async settle({ uid }: Identity): Promise<void> {
    await this.command('snapshots', { user: uid })
  }

  /** Runs a command of backup in the server, as the program does. @returns what it says */
  async command(
    command: string,
    args: Readonly<Record<string, string>>,
    options: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    let said = ''
    const request = { plugin: 'backup', command, args: { ...args }, options: { ...options } }
    const reply = await new ControlClient(this.root).command(
      { ...request, cwd: '/', json: true },
      noFiles(),
      {
        out: (text) => {
          said += text
        },
        err: () => undefined,
      },
      async () => undefined,
    )
    if (reply.exit !== 0) throw new Error(`backup ${command} did not go well: ${JSON.stringify(reply)}`)
    return said
  }

  /** Where a learner's Journal lies. */
  live({ uid }: Identity): string {
    return join(this.root, 'backup', 'live', uid, 'datastore-current')
  }

  /** Gives a learner the Journal that another one has. */
  async copyLive(from: Identity, to: Identity): Promise<void> {
    await run('mkdir', ['-p', join(this.live(to), '..')])
    await run('cp', ['-al', this.live(from), this.live(to)])
  }

  /** Takes a learner's Journal off the disk; whoever has none sends all of it. */
  async drop(learner: Identity): Promise<void> {
    await rm(this.live(learner), { recursive: true, force: true })
  }

  close(): Promise<void> {
    return this.#served.end()
  }

  get #work(): number {
    return processorTime(this.pid)
  }
}
