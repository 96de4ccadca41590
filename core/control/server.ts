import { once } from 'node:events'
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Delivery } from '../command.js'
import { asError, RequestError, SystemError } from '../errors.js'
import { failure, type Surroundings } from './execute.js'
import { type CommandRequest, deliveryFrames, FrameReader, frame } from './frames.js'

/** What the running server does for those who come over its control socket. */
export interface Controlled {
  status(): Promise<unknown>
  explain(who: string): Promise<unknown>
  command(request: CommandRequest, around: Surroundings): Promise<unknown>
  /** @throws SugarError */
  acceptDirectory(name: string): unknown
  /** Begins to stop. */
  stop(): void
}

export const socketPath = (run: string): string => join(run, 'control.sock')

// sun_path in <sys/un.h> has 108 bytes, the last one for NUL.
const longestPath = 107

/** Whether a control socket fits below this directory. @returns SystemError NOT_WRITABLE when its path is too long */
export function socketPathProblem(run: string): SystemError | undefined {
  const path = socketPath(run)
  if (Buffer.byteLength(path) <= longestPath) return undefined
  return new SystemError('NOT_WRITABLE', `${path} is too long for a socket (at most ${longestPath} bytes)`, {
    hint: 'choose a root with a shorter path',
  })
}

/**
 * The server's end of the control socket. Whoever can open the file may do everything, so only its owner and root
 * can. The lock is held by then: a socket that is already there belongs to nobody.
 * @returns the undo
 */
export async function openControl(run: string, controlled: Controlled): Promise<() => Promise<void>> {
  const path = socketPath(run)
  const problem = socketPathProblem(run)
  if (problem !== undefined) throw problem
  rmSync(path, { force: true })
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    serve(controlled, request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500)
      response.end(frame({ error: asError(error).message }))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new SystemError('NOT_WRITABLE', `${path}: ${cause.message}`, { hint: 'check the directory', cause }),
      )
    })
    server.listen(path, resolve)
  })
  chmodSync(path, 0o600)
  return async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    rmSync(path, { force: true })
    server.closeAllConnections()
    await closed
  }
}

/** Characters of output that go into one line of the reply. */
const piece = 8192

function* pieces(text: string): Generator<string> {
  for (let at = 0, end = 0; at < text.length; at = end) {
    end = at + piece
    // The other end writes each piece by itself: a character of two halves must not be cut.
    const last = text.charCodeAt(end - 1)
    if (last >= 0xd800 && last < 0xdc00) end += 1
    yield text.slice(at, end)
  }
}

function isCommand(value: unknown): value is CommandRequest {
  const { plugin, command, args, options } = (value ?? {}) as Record<string, unknown>
  const named = typeof plugin === 'string' && typeof command === 'string'
  return named && typeof args === 'object' && args !== null && typeof options === 'object' && options !== null
}

async function serve(
  controlled: Controlled,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://control')
  const json = (value: unknown) =>
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(frame(value))
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /status':
      json(await controlled.status())
      return
    case 'GET /explain':
      json(await controlled.explain(url.searchParams.get('who') ?? ''))
      return
    case 'POST /accept-directory':
      json(await attempt(() => controlled.acceptDirectory(url.searchParams.get('name') ?? '')))
      return
    case 'POST /stop':
      // Never ended: that this connection closes tells whoever asked that the server has stopped.
      response.writeHead(200, { 'Content-Type': 'application/json' }).write(frame({ stopping: true }))
      controlled.stop()
      return
    case 'POST /command':
      await serveCommand(controlled, request, response)
      return
    default:
      response.writeHead(404).end()
  }
}

/** A result, or how it failed. */
async function attempt(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (thrown) {
    return failure(thrown)
  }
}

async function serveCommand(
  controlled: Controlled,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const frames = new FrameReader(request)
  const wanted = await frames.line()
  if (!isCommand(wanted)) throw new RequestError('REQUEST_INVALID', 'the request is garbled')
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const output = {
    out: (text: string) => {
      for (const out of pieces(text)) response.write(frame({ out }))
    },
    err: (text: string) => {
      for (const err of pieces(text)) response.write(frame({ err }))
    },
  }
  const deliver = async (what: Delivery, content: AsyncIterable<Uint8Array>) => {
    for await (const piece of deliveryFrames(what, content)) {
      gone.signal.throwIfAborted()
      if (!response.write(piece)) await once(response, 'drain', { signal: gone.signal })
    }
  }
  const ended = await controlled.command(wanted, {
    files: () => frames.files(),
    output,
    deliver,
    signal: gone.signal,
  })
  await frames.drain()
  response.end(frame(ended))
}
