import { request } from 'node:http'
import { BrokenReply } from './errors.js'
import { authority, type Server } from './server.js'

export interface Request {
  readonly server: Server
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly path: string
  /** Sent in this order, after Host; nothing is added but Content-Length. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
}

export interface Reply {
  readonly status: number
  readonly encoding: string | undefined
  /** When to come back, as the server wrote it. */
  readonly retryAfter: string | undefined
  readonly body: Buffer
}

/** How long and whether to wait for a server. */
export interface Patience {
  /** Milliseconds for the whole conversation. */
  readonly timeout?: number | undefined
  /** Gives up early: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** No reply came within the time there was. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut'
}

/** Bytes of a reply that are read at most; a registration's reply is smaller than a thousandth of it. */
export const maxReply = 1_000_000

/** Registration protocol: the client gives up after 8 s. */
export const defaultTimeout = 8_000

/** Runs `work` under a deadline; its signal aborts with TimedOut, or with the caller's reason. */
export async function within<T>(patience: Patience, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { timeout = defaultTimeout, signal } = patience
  signal?.throwIfAborted()
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(new TimedOut(`no reply within ${timeout / 1000} s`)), timeout)
  const forward = () => stop.abort(signal?.reason)
  signal?.addEventListener('abort', forward, { once: true })
  try {
    return await work(stop.signal)
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', forward)
  }
}

/** The connection was closed before the first byte of a reply, or reset by the peer at any time. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

const isLoss = (error: Error): error is NodeJS.ErrnoException =>
  'code' in error && /^(ECONNRESET|ECONNABORTED|EPIPE)$/.test(String(error.code))

/** What went wrong, in the terms of Python's client: it tells a lost connection from a reply cut short. */
function diagnose(error: Error, begun: boolean): Error {
  if (error instanceof AggregateError) {
    const [first]: unknown[] = error.errors // one for each address of the name
    return first instanceof Error ? first : error
  }
  if (error instanceof BrokenReply) return error
  if (isLoss(error) && (!begun || error.syscall)) {
    return new ConnectionLost('the server closed the connection without a reply', { cause: error })
  }
  return begun
    ? new BrokenReply(`the reply is no whole HTTP reply: ${error.message}`, { cause: error })
    : error
}

/**
 * One request on a connection of its own, and its whole reply. Throws ConnectionLost, a BrokenReply for what
 * is no HTTP, ends early or is longer than `maxReply`, the signal's reason, and else the system's error.
 */
export function exchange(asked: Request, signal: AbortSignal): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { server, method, path, headers, body } = asked
    const { host, port } = server
    const sent = request({ host, port, method, path, signal, agent: false, setHost: false })
    let received = () => 0
    const fail = (error: Error): void => {
      reject(signal.aborted ? signal.reason : diagnose(error, received() > 0))
      sent.destroy()
    }

    sent.on('socket', (socket) => {
      received = () => socket.bytesRead
    })
    sent.on('error', fail)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('error', fail)
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxReply) fail(new BrokenReply(`the reply is longer than ${maxReply} bytes`))
        else chunks.push(chunk)
      })
      response.on('end', () => {
        const { statusCode = 0, headers: answered } = response
        resolve({
          status: statusCode,
          encoding: answered['content-encoding'],
          retryAfter: answered['retry-after'],
          body: Buffer.concat(chunks),
        })
        sent.destroy()
      })
    })

    sent.setHeader('Host', authority(server))
    for (const [name, value] of Object.entries(headers)) sent.setHeader(name, value)
    sent.removeHeader('Connection') // Python sends none
    if (body) sent.setHeader('Content-Length', body.length)
    sent.end(body)
  })
}
