import type { Socket } from 'node:net'
import { RequestError } from '../../../core/api.js'
import { plain } from './network.js'
import { type Opening, OpeningReader } from './opening.js'

/** Bytes that one may send ahead of its being served; no rsync sends any. */
const mostAhead = 8192
/** Milliseconds that one has to read why it is not served. */
const lastWords = 5000
const keepAlive = 60_000

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
    this.address = plain(address)
    this.ends = `${this.address} ${socket.remotePort} ${plain(socket.localAddress ?? '')} ${socket.localPort}`
    socket.setKeepAlive(true, keepAlive)
    socket.once('end', () => this.#gone.abort())
    socket.once('close', () => this.#gone.abort())
  }

  /** Aborted when it has hung up. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /**
   * What it wants.
   * @param patience milliseconds
   * @throws RequestError for what no rsync says, and for silence; its text is for the client
   */
  opening(patience: number): Promise<Opening> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(silence()), patience)
      const end = () => {
        clearTimeout(timer)
        reject(silence())
      }
      if (this.gone.aborted) return end()
      this.gone.addEventListener('abort', end, { once: true })
      this.#hear = (chunk) => {
        try {
          const opening = this.#reader.read(chunk)
          if (opening === undefined) return
          this.#opening = opening
          this.#hear = this.#ahead
          resolve(opening)
        } catch (error) {
          this.#hear = () => undefined
          reject(error)
        }
        clearTimeout(timer)
      }
      this.socket.on('data', this.#listen)
      // It was paused when an rsync was given it too.
      this.socket.resume()
    })
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
