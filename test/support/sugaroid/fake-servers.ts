import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Server } from '../../../sugaroid/index.js'

/** Why a test that needs a program cannot run; false when it can. */
function without(program: string, debianPackage: string): string | false {
  const missing = spawnSync(program, ['--version']).error !== undefined
  return missing && `${program} is not installed (apt-get install ${debianPackage})`
}

export const noPython = without('python3', 'python3')
export const noSshKeygen = without('ssh-keygen', 'openssh-client')

/** Listens on a free port of this machine; ends with the test. */
export async function listen(t: Test, server: NetServer): Promise<Server> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((closed) => server.close(closed))
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { host: '127.0.0.1', port: address.port }
}

export interface Peer extends Server {
  /** Each request as it came, head and body, in order. */
  readonly requests: string[]
}

const isWhole = (request: string): boolean => {
  const [head = '', body] = request.split('\r\n\r\n')
  const [, length = '0'] = /^content-length: (\d+)/im.exec(head) ?? []
  return body !== undefined && Buffer.byteLength(body) >= Number(length)
}

/** A server that answers whole requests with `answer(socket, number of the request from 1)`. */
export async function peer(t: Test, answer: (socket: Socket, number: number) => void): Promise<Peer> {
  const requests: string[] = []
  const server = createServer((socket) => {
    let request = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => {
      request += chunk
      if (!isWhole(request)) return
      requests.push(request)
      request = ''
      answer(socket, requests.length)
    })
  })
  return { ...(await listen(t, server)), requests }
}

/** A whole HTTP reply. */
export function reply(body: string | Buffer, head = 'HTTP/1.1 200 OK\r\nContent-Type: text/xml'): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([Buffer.from(`${head}\r\nContent-Length: ${bytes.length}\r\n\r\n`), bytes])
}

/** A server that gives the same reply to everybody. */
export function canned(t: Test, bytes: Buffer): Promise<Peer> {
  return peer(t, (socket) => socket.end(bytes))
}

/** An XML-RPC reply with this content in its only value. */
export const response = (value: string): string =>
  `<?xml version='1.0'?><methodResponse><params><param><value>${value}</value></param></params></methodResponse>`

/** An XML-RPC reply with a struct of strings, and of `more`, members as XML. */
export function struct(members: Readonly<Record<string, string>>, more = ''): string {
  const lines = Object.entries(members).map(
    ([name, text]) => `<member><name>${name}</name><value><string>${text}</string></value></member>`,
  )
  return response(`<struct>${lines.join('')}${more}</struct>`)
}

export const welcome = struct({ success: 'OK', jabberserver: 'jabber.school', backupurl: 'u@school:backup' })

/** Runs a Python script with `input` on its stdin; what it prints, as JSON. */
export async function python(script: string, args: readonly string[] = [], input = ''): Promise<unknown> {
  const child = spawn('python3', ['-c', script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk
  })
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`python3 ended with ${code}`)
  return JSON.parse(printed)
}

/** Starts a Python server that prints its port first; ends with the test. */
export async function pythonServer(t: Test, script: string): Promise<Server> {
  const child = spawn('python3', ['-u', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const [line] = await once(createInterface(child.stdout), 'line')
  return { host: '127.0.0.1', port: Number(line) }
}

export interface Finished {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const script = fileURLToPath(new URL('../../../sugaroid/bin/sugaroid.js', import.meta.url))

/** Runs the command as a deployer does. */
export async function sugaroid(...args: string[]): Promise<Finished> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    said.out += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said.err += chunk
  })
  const [code] = await once(child, 'close')
  return { code, ...said }
}
