import type { Socket } from 'node:net'
import { plainAddress, RequestError } from '../../../core/api.js'
import { type Opening, OpeningReader } from './opening.js'

/** Bytes that one may send ahead of its being served; no rsync sends any. */
const mostAhead = 8192
/** Milliseconds that one has to read why it is not served. */
const lastWords = 5000
/** Milliseconds in which an rsync has greeted: it does so at once. */
const courtesy = 500
const keepAlive = 60_000

/** How a client begins. */
export interface Approach {
  /**
   * Whether it has greeted, and waits to be greeted: as every rsync does. Who says all at once might be answered by us
   * before an rsync of ours has greeted him.
   */
  readonly waits: Promise<boolean>
  /** What it wants. Rejects with a RequestError for what no rsync says, and for silence; its text is for the client. */
  readonly opening: Promise<Opening>
}

/** A connection until an rsync serves it: who it is, what it wants, and whether it is still there. */
export class Client {
  readonly socket: Socket
  readonly address: string
  /** Of the connection: `10.0.0.5 40312 10.0.0.1 873`. */
  readonly ends: string
  readonly #gone = new AbortController()
  readonly #reader = new OpeningReader()
  #opening: Opening | undefined
  #hear: (chunk: Buffer) => void = () => undefined

  /** @returns undefined when it has gone already */
  static of(socket: Socket): Client | undefined {
    socket.on('error', () => socket.destroy())
    if (socket.remoteAddress !== undefined) return new Client(socket, socket.remoteAddress)
    socket.destroy()
    return undefined
  }

  private constructor(socket: Socket, address: string) {
    this.socket = socket
    this.address = plainAddress(address)
    this.ends = `${this.address} ${socket.remotePort} ${plainAddress(socket.localAddress ?? '')} ${socket.localPort}`
    socket.setKeepAlive(true, keepAlive)
    socket.once('end', () => this.#gone.abort())
    socket.once('close', () => this.#gone.abort())
  }

  /** Aborted when it has hung up. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Whether it has said what it wants. */
  get hasAsked(): boolean {
    return this.#opening !== undefined
  }

  /**
   * Begins to hear it.
   * @param patience milliseconds for it to say what it wants
   */
  hear(patience: number): Approach {
    let greeted: (waits: boolean) => void = () => undefined
    const waits = new Promise<boolean>((resolve) => {
      greeted = resolve
      setTimeout(resolve, Math.min(patience, courtesy), false).unref()
    })
    const opening = new Promise<Opening>((resolve, reject) => {
      const fail = (error: unknown) => {
        this.#hear = () => undefined
        clearTimeout(timer)
        reject(error)
      }
      const timer = setTimeout(() => fail(silence()), patience)
      this.gone.addEventListener('abort', () => fail(silence()), { once: true })
      this.#hear = (chunk) => {
        try {
          this.#opening = this.#reader.read(chunk)
          if (this.#opening === undefined) {
            if (this.#reader.hasGreeted) greeted(true)
            return
          }
          this.#hear = this.#ahead
          clearTimeout(timer)
          resolve(this.#opening)
        } catch (error) {
          fail(error)
        }
      }
      if (this.gone.aborted) fail(silence())
    })
    const over = () => greeted(false)
    opening.then(over, over)
    this.socket.on('data', this.#listen)
    return { waits, opening }
  }

  /** Hears it no more. @returns all that it has said: whoever is given it reads from now on what it says */
  handOver(): Opening {
    this.socket.off('data', this.#listen)
    this.socket.pause()
    if (this.#opening === undefined) throw new TypeError('it has not said what it wants')
    return this.#opening
  }

  /** Says a last thing, and hangs up. */
  leave(text: string): void {
    const { socket } = this
    if (socket.destroyed) return
    const timer = setTimeout(() => socket.destroy(), lastWords)
    socket.once('close', () => clearTimeout(timer))
    // With something unread, the system would take back even what was said.
    this.#hear = () => undefined
    socket.off('data', this.#listen)
    socket.on('data', this.#listen)
    socket.resume()
    socket.end(text)
  }

  readonly #listen = (chunk: Buffer): void => this.#hear(chunk)

  readonly #ahead = (chunk: Buffer): void => {
    const opening = this.#opening
    if (opening === undefined || opening.rest.length + chunk.length > mostAhead) {
      this.socket.destroy()
      return
    }
    this.#opening = { ...opening, rest: Buffer.concat([opening.rest, chunk]) }
  }
}

const silence = (): RequestError => new RequestError('REQUEST_INVALID', 'timeout waiting for the module')
