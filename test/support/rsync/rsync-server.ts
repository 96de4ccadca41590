import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { boot, type TestHouse } from '../../../core/testing.js'
import { type Finished, run, startServer } from '../core/server-process.js'

/** A house that publishes, with a place of its own beside it. */
export interface RsyncHouse extends TestHouse {
  readonly port: number
  /** Below it, each directory is a module. */
  readonly pub: string
  /** For what tests need besides. */
  readonly beside: string
  /** Runs a client; `::films/a` stands for a path on this server. */
  rsync(...words: string[]): Promise<Finished>
  /** Transfers under way. */
  fetching(): Promise<{ readonly address: string; readonly bytes: number }[]>
}

export async function openHouse(
  t: Pick<Test, 'teardown'>,
  settings: Record<string, string> = {},
  plugins: readonly unknown[] = ['rsync'],
): Promise<RsyncHouse> {
  const folder = await mkdtemp(join(tmpdir(), 'sugar-rsync-'))
  const root = join(folder, 'root')
  await mkdir(root, { mode: 0o700 })
  const house = await boot({ plugins, settings, root })
  t.teardown(async () => {
    await house.dispose()
    await rm(folder, { recursive: true, force: true })
  })
  const port = Number(new URL(await house.url('rsync')).port)
  const beside = join(folder, 'beside')
  await mkdir(beside)
  return {
    ...house,
    port,
    beside,
    pub: join(root, 'rsync', 'pub'),
    rsync: (...words) => run(t, ['rsync', ...words.map((word) => addressed(word, port))]),
    fetching: async () =>
      JSON.parse((await house.command(['rsync', 'list'], { json: true })).out).flatMap(
        ({ clients }: { clients: { address: string; bytes: number }[] }) => clients,
      ),
  }
}

const addressed = (word: string, port: number): string =>
  word.startsWith('::') ? `rsync://127.0.0.1:${port}/${word.slice(2)}` : word

/** A server that publishes, in a process of its own. */
export const openServer = (t: Test, ...more: string[]) =>
  startServer(t, {
    args: [
      ...['--plugins', 'rsync', '--host', '127.0.0.1', '--httpd-port', '0', '--rsync-port', '0'],
      ...more,
    ],
  })

/** A client that takes its time with the module `films`. */
export function slowly(t: Test, port: number | string, to: string, kilobytes = 2000) {
  const client = spawn('rsync', ['-a', `--bwlimit=${kilobytes}`, `rsync://127.0.0.1:${port}/films/`, to], {
    detached: true,
  })
  /** At once, with the process that writes for it. */
  const kill = () => {
    if (client.pid === undefined) return
    try {
      process.kill(-client.pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  t.teardown(kill)
  let said = ''
  client.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const ended = once(client, 'close').then(([code]) => ({ code: code as number | null, said }))
  return { client, kill, ended }
}

/** Writes files, and the directories they are in. */
export async function fill(folder: string, files: Record<string, string | Buffer>): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
}

/** Process numbers of the rsyncs and their companions that a server has started, by the folder that they are told of. */
export async function rsyncsOf(root: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const words = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '')
    if (words.includes('--daemon') && words.includes(root)) found.push(Number(name))
  }
  return found
}

/** A client that speaks for itself. */
export class RawClient {
  readonly socket: Socket
  /** All that it was told. */
  heard = ''
  readonly closed: Promise<string>

  constructor(t: Pick<Test, 'teardown'>, port: number) {
    this.socket = connect({ port, host: '127.0.0.1' })
    t.teardown(() => this.socket.destroy())
    this.socket.on('error', () => undefined)
    this.socket.setEncoding('latin1').on('data', (text: string) => {
      this.heard += text
    })
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve(this.heard)))
  }

  say(text: string | Buffer): void {
    this.socket.write(text)
  }

  /** Greets as an rsync of protocol 29 does, and says the rest when it has been greeted. */
  async ask(text: string | Buffer): Promise<void> {
    this.say('@RSYNCD: 29\n')
    await this.hears(() => this.heard.includes('\n'), 'the greeting')
    this.say(text)
  }

  /** Waits until what it was told is so, and looks at it with each word that comes. */
  async hears(check: () => boolean, what: string): Promise<void> {
    if (check()) return
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer)
        this.socket.off('data', look).off('close', look)
        settle()
      }
      const look = () => {
        if (check()) end(resolve)
        else if (this.socket.closed) end(() => reject(new Error(`the connection ended before ${what}`)))
      }
      const timer = setTimeout(() => end(() => reject(new Error(`waited in vain for ${what}`))), 60_000)
      this.socket.on('data', look).on('close', look)
    })
  }
}

/** What a client of protocol 29 says to have the nth file of the list sent, of which it has nothing. */
export function wants(nth: number): Buffer {
  const numbers = Buffer.alloc(26)
  // After an empty list of filters.
  numbers.writeInt32LE(nth, 4)
  numbers.writeUInt16LE(0x8000, 8)
  return numbers
}
