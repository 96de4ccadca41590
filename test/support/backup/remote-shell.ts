import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { judgedStream, RequestError, type RsyncVersion, rsyncVersion, StreamHead } from '../../../core/api.js'
import { serverArguments } from '../../../plugins/backup/rsync/arguments.js'
import { parseCommand } from '../../../plugins/backup/rsync/command.js'
import { streamShape } from '../../../plugins/backup/rsync/stream.js'

/** Joins the client's rsync with this process: what a node of its own would do takes ten times as long to start. */
const shell = (port: number): string => `
# A client that gives up would kill this, and leave what it has started.
trap '' USR1
exec 3<>/dev/tcp/127.0.0.1/${port} || exit 1
[ "$1" = -l ] && shift 2
shift
printf '%s\\n' "$HOME_OF_LEARNER" "$*" >&3
cat <&3 2>/dev/null &
cat <&0 >&3 2>/dev/null &
wait -n
kill $(jobs -p) 2>/dev/null
exit 0
`

/** What was said to a client, and how it ended. */
export interface Pushed {
  status: number | null
  stdout: string
  stderr: string
}

/**
 * Stands for ssh and the server in one: it reads the command of rsync's client as the server does, judges the stream as
 * the server does, and runs rsync in the directory of a learner.
 * @returns runs a client; `home` is the learner's directory
 */
export async function remoteShell(t: Pick<Test, 'teardown'>) {
  const version = await rsyncVersion()
  /** What the server's end has said, by the directory of the learner, and how it ended. */
  const ends = new Map<string, Promise<{ said: string; code: number }>>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    void firstLines(socket).then(({ home, text, rest }) => {
      ends.set(home, serve(socket, { home, text, rest, version }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const folder = mkdtempSync(join(tmpdir(), 'sugar-shell-'))
  const file = join(folder, 'shell')
  writeFileSync(file, shell((server.address() as AddressInfo).port))
  t.teardown(() => {
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return async (home: string, ...args: string[]): Promise<Pushed> => {
    ends.delete(home)
    const client = spawn('rsync', ['-e', `bash ${file}`, ...args], {
      env: { ...process.env, HOME_OF_LEARNER: home },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    })
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      client[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text
      })
    const status = await new Promise<number | null>((resolve) => client.once('close', resolve))
    // A client that refuses its own options never comes here.
    const far = await ends.get(home)
    return {
      status: status === 0 ? (far?.code ?? 0) : status,
      stdout: said.stdout,
      stderr: `${said.stderr}${far?.said ?? ''}`,
    }
  }
}

/** The directory of the learner, the command, and what of the stream came with them. */
async function firstLines(socket: Socket): Promise<{ home: string; text: string; rest: Buffer }> {
  let heard = Buffer.alloc(0)
  return new Promise((resolve) => {
    const hear = (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk])
      const [home, text] = heard.toString('latin1').split('\n')
      const length = (home?.length ?? 0) + (text?.length ?? 0) + 2
      if (home === undefined || text === undefined || heard.length < length) return
      socket.off('data', hear).pause()
      const asText = heard.subarray(home.length + 1, length - 1).toString()
      resolve({ home, text: asText, rest: heard.subarray(length) })
    }
    socket.on('data', hear)
  })
}

async function serve(
  socket: Socket,
  given: { home: string; text: string; rest: Buffer; version: RsyncVersion },
): Promise<{ said: string; code: number }> {
  const { home, text, rest, version } = given
  let said = ''
  let refused: number | undefined
  const fail = (error: unknown) => {
    if (!(error instanceof RequestError)) throw error
    said += `sugar-server: ${error.message}\n`
    refused = error.exitCode
  }
  try {
    const command = parseCommand(text)
    const head = new StreamHead(streamShape(command, version))
    const args = serverArguments(command, { temporary: `${home}/temporary`, log: `${home}/log` })
    const rsync = spawn('rsync', args, { cwd: `${home}/tree`, stdio: ['pipe', 'pipe', 'pipe'] })
    const judged = judgedStream(head, (error) => {
      fail(error)
      rsync.kill('SIGKILL')
    })
    rsync.stdin.on('error', () => undefined)
    rsync.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    if (rest.length > 0) socket.unshift(rest)
    socket.pipe(judged).pipe(rsync.stdin)
    rsync.stdout.pipe(socket)
    const code = await new Promise<number | null>((resolve) => rsync.once('close', resolve))
    // For a test: how the stream began, by what the server made of the options.
    if (!head.isOver) said += 'the beginning of the stream has no end\n'
    return { said, code: refused ?? code ?? 1 }
  } catch (error) {
    fail(error)
    return { said, code: refused ?? 1 }
  } finally {
    socket.end()
    socket.resume()
  }
}
