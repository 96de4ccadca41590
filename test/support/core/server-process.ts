import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { ControlClient } from '../../../core/control/client.js'
import type { HouseStatus } from '../../../core/house.js'
import { temporaryDirectory } from '../temporary-directory.js'

export const program = fileURLToPath(new URL('../../../core/bin/sugar-server.js', import.meta.url))

export type Owner = Pick<Test, 'teardown'>

export interface Finished {
  code: number | null
  signal: NodeJS.Signals | null
  out: string
  err: string
}

export interface Given {
  env?: Record<string, string>
  input?: string | Buffer
  cwd?: string
  /** Home directory; a fresh and empty one when not given, so that nobody's own settings interfere. */
  home?: string
}

const patience = 60_000

const running = new Set<ChildProcess>()
// A test that dies must not leave servers behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Collects what a child says, as whole text, and forgets the child when it has ended. */
function collect(child: ChildProcess): { out: string; err: string } {
  const said = { out: '', err: '' }
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    said.out += chunk
  })
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    said.err += chunk
  })
  return said
}

const environment = (home: string, env: Record<string, string> = {}): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  LANG: 'C.UTF-8',
  HOME: home,
  ...env,
})

/** Runs a program to its end. */
export async function run(
  t: Owner,
  command: readonly string[],
  { env, input, cwd, home }: Given = {},
): Promise<Finished> {
  const place = home ?? (await temporaryDirectory(t))
  const [file = '', ...args] = command
  const child = spawn(file, args, {
    cwd: cwd ?? place,
    env: environment(place, env),
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: patience,
    killSignal: 'SIGKILL',
  })
  const said = collect(child)
  child.stdin?.on('error', () => undefined).end(input)
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, ...said }
}

/** Runs `sugar-server ...` to its end. */
export const cli = (t: Owner, args: readonly string[], given?: Given): Promise<Finished> =>
  run(t, [process.execPath, program, ...args], given)

export interface Start {
  /** Created by the server itself when not given. */
  root?: string
  args?: readonly string[]
  env?: Record<string, string>
  /** A settings file's text. */
  config?: string
  /** Program and arguments in front: `['setpriv', ...]`. */
  prefix?: readonly string[]
}

export interface Server {
  child: ChildProcess
  root: string
  home: string
  /** What it said so far. */
  said: { out: string; err: string }
  /** Its log so far. */
  log(): LogLine[]
  status(): Promise<HouseStatus>
  /** The address of a listener: `url('id')` is `http://127.0.0.1:45321`. */
  url(listener: string): Promise<string>
  /** SIGTERM, and how it ended. */
  stop(): Promise<Finished>
  kill9(): Promise<Finished>
  /** How it ended, when it has. */
  ended: Promise<Finished>
}

export interface LogLine {
  level: number
  msg: string
  plugin?: string
  hint?: string
  code?: string
  err?: { message: string }
  [key: string]: unknown
}

/** The flags with which any number of servers get along on one machine. */
export const freePorts = [
  '--host',
  '127.0.0.1',
  '--httpd-port',
  '0',
  '--id-port',
  '0',
  '--backup-ssh-port',
  '0',
] as const

/** The same for a server with the plugin `id` and others that have no ports: it need not look up whose options those are. */
export const idPorts = ['--host', '127.0.0.1', '--httpd-port', '0', '--id-port', '0'] as const

/** Starts the server as a deployer does, and kills it when the test ends. @returns at once */
export async function launch(t: Owner, options: Start = {}): Promise<Server> {
  const { args = freePorts, env, config, prefix = [] } = options
  const home = await temporaryDirectory(t)
  const root = options.root ?? join(home, 'root')
  const file = join(home, 'school.conf')
  if (config !== undefined) await writeFile(file, config, { mode: 0o600 })
  const words = [...prefix, process.execPath, program, '--root', root, ...args]
  if (config !== undefined) words.push('--config', file)
  const [command = '', ...rest] = words
  const child = spawn(command, rest, {
    cwd: home,
    env: environment(home, env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = collect(child)
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...said }) as Finished)
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return ended
  }
  t.teardown(() => end('SIGKILL'))
  // What `sugar-server status` asks; a process for each question would take most of the time of some tests.
  const status = async () => (await new ControlClient(root).get('/status')) as HouseStatus
  return {
    child,
    root,
    home,
    said,
    log: () => logLines(said.err),
    status,
    async url(listener) {
      const found = (await status()).listeners.find(({ name }) => name === listener)
      if (found === undefined) throw new Error(`there is no listener ${listener}`)
      return `http://${found.host}:${found.port}`
    },
    stop: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
    ended,
  }
}

/** Starts the server and waits until it says that it is up. */
export async function startServer(t: Owner, options?: Start): Promise<Server> {
  const server = await launch(t, options)
  const { child, said } = server
  const up = () => said.out.includes('  next     ')
  await until(() => up() || child.exitCode !== null || child.signalCode !== null, 'the server to start')
  if (!up()) throw new Error(`the server did not start:\n${said.out}${said.err}`)
  return server
}

/** The JSON lines of a log; what is none is left out. */
export const logLines = (text: string): LogLine[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine)

/** Waits until something is so. @throws Error that names it when it does not happen */
export async function until(
  check: () => boolean | Promise<boolean>,
  what: string,
  milliseconds = patience,
): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await sleep(20)
  }
}

/** Writes a plugin's module, or any other file. @returns its path */
export async function written(t: Owner, name: string, text: string): Promise<string> {
  const path = join(await temporaryDirectory(t), name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text, { mode: 0o600 })
  return path
}

/** A third-party plugin. @param body what its start() does with `ctx` */
export const pluginSource = (name: string, more: string, body = '') => `
import { definePlugin, program, secret, text } from 'sugar-server'
export default definePlugin({
  name: '${name}', api: 1, summary: 'the plugin ${name}', ${more}
  start(ctx) { ${body} },
})`

/** A port on 127.0.0.1 that another program has. */
export async function busyPort(t: Owner): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
