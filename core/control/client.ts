import { type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Call, Delivery, InputFile } from '../command.js'
import { exit, isErrorCode, RequestError, SugarError, SystemError, systemCode } from '../errors.js'
import {
  BrokenOff,
  type CommandReply,
  type CommandRequest,
  FrameReader,
  fileFrames,
  frame,
} from './frames.js'
import type { Output } from './output.js'
import { socketPath } from './server.js'

// The server is ours: its story of a laptop may be long.
const longestReply = 64 << 20
/** Milliseconds until a question must be answered; plugins may take longer over a story than over their status. */
const patience = (path: string): number => (path === '/status' ? 10_000 : 30_000)

/** The other end of the control socket. */
export class ControlClient {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  /** @throws SystemError NOT_RUNNING, CONTROL_REFUSED */
  async get(path: string): Promise<unknown> {
    const response = await this.#send('GET', path)
    const answer = await new FrameReader(response, longestReply).line()
    if (response.statusCode === 200) return answer
    throw new RequestError('REQUEST_INVALID', `the server refused to answer (${response.statusCode})`)
  }

  /** Has a running server accept a directory. @throws SystemError NOT_RUNNING, CONTROL_REFUSED; what the server refused */
  async acceptDirectory(name: string): Promise<unknown> {
    const response = await this.#send('POST', `/accept-directory?name=${encodeURIComponent(name)}`)
    const answer = (await new FrameReader(response, longestReply).line()) as Extract<
      CommandReply,
      { exit: number }
    >
    if (response.statusCode !== 200)
      throw new RequestError('REQUEST_INVALID', `the server refused to answer (${response.statusCode})`)
    if (answer?.message === undefined) return answer
    throw new SugarError(isErrorCode(answer.code) ? answer.code : 'INTERNAL', answer.message, {
      hint: answer.hint,
    })
  }

  /** Asks the server to stop. @returns when it has closed the socket, its last act but the lock */
  async stop(): Promise<void> {
    // How long a stop takes nobody knows; whether there is somebody to stop, this tells.
    await this.get('/status')
    const response = await this.#send('POST', '/stop')
    // The server closes the connection in the middle of its answer: to a stream that is an error.
    response.on('error', () => undefined).resume()
    if (!response.destroyed) await new Promise((resolve) => response.once('close', resolve))
  }

  /** Runs a command in the server. @returns its exit code */
  async command(
    wanted: CommandRequest,
    files: AsyncIterable<InputFile>,
    output: Output,
    receive: Call['deliver'],
    signal?: AbortSignal,
  ): Promise<Extract<CommandReply, { exit: number }>> {
    let unread: unknown
    const body = (async function* () {
      yield frame(wanted)
      try {
        yield* fileFrames(files)
      } catch (error) {
        unread = error
        throw error
      }
    })()
    try {
      const response = await this.#send('POST', '/command', Readable.from(body, { objectMode: false }))
      // Leaving is enough: the server hears that the connection closed. What is being written here ends with it.
      signal?.addEventListener('abort', () => response.destroy(), { once: true })
      if (signal?.aborted === true) response.destroy()
      const replies = new FrameReader(response, longestReply)
      const hear = (line: unknown) => {
        const { out, err } = line as { out?: string; err?: string }
        if (out !== undefined) output.out(out)
        if (err !== undefined) output.err(err)
      }
      for (let reply = await replies.line(); reply !== undefined; reply = await replies.line()) {
        const line = reply as CommandReply
        if ('out' in line || 'err' in line) hear(line)
        else if ('deliver' in line) await accept(receive, line.deliver, replies.delivery(hear))
        else return line
      }
    } catch (error) {
      if (unread === undefined && systemCode(error) !== 'ECONNRESET') throw error
    }
    // It was our end that broke off: what could not be read is the reason.
    if (unread !== undefined) throw unread
    return { exit: exit.tempFail, message: 'the server ended before the command did', hint: 'see its log' }
  }

  async #send(method: string, path: string, body?: Readable): Promise<IncomingMessage> {
    const sending = request({ socketPath: socketPath(`${this.#root}/run`), method, path, agent: false })
    if (method === 'GET') sending.setTimeout(patience(path), () => sending.destroy(silent(this.#root)))
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      sending.once('response', resolve)
      sending.once('error', (error) => reject(explain(error, this.#root)))
    })
    // The command may end before all input was read; its reply then says why.
    if (body === undefined) sending.end()
    else pipeline(body, sending).catch(() => undefined)
    return response
  }
}

async function accept(
  receive: Call['deliver'],
  what: Delivery,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  try {
    await receive(what, content)
  } catch (error) {
    if (!(error instanceof BrokenOff)) throw error
  }
}

const silent = (root: string): SystemError =>
  new SystemError('UNAVAILABLE', `the sugar-server on ${root} does not answer`, {
    hint: 'it may be held up or very busy: see its log, and end its process if it stays so',
  })

function explain(error: Error, root: string): Error {
  const code = systemCode(error)
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') {
    const hint = 'start it with "sugar-server", or name its --root'
    return new SystemError('NOT_RUNNING', `no sugar-server runs on ${root}`, { hint, cause: error })
  }
  if (code === 'EACCES') {
    const hint = 'run this as the user the server runs as, or as root'
    return new SystemError('CONTROL_REFUSED', `the sugar-server on ${root} belongs to another user`, {
      hint,
      cause: error,
    })
  }
  return error
}
