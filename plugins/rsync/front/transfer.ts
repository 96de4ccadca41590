import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { RequestError } from '../../../core/api.js'
import { idleSeconds } from '../modules/stanza.js'
import type { Bandwidth } from './bandwidth.js'
import type { Child } from './child.js'
import type { Client } from './client.js'
import { type Host, notStarted } from './host.js'
import type { Manners } from './installed.js'
import { LinkOptionFilter } from './link-options.js'

/** Milliseconds. */
export interface Times {
  /** Without a byte in either direction. */
  readonly idle: number
  readonly total: number
  /** To say what is wanted. */
  readonly opening: number
  /** For rsync to greet. */
  readonly start: number
  /** For a client to take the rest when rsync has ended. */
  readonly rest: number
  /** For rsync to end by itself when its client has hung up. */
  readonly parting: number
}

export const usual: Times = {
  idle: idleSeconds * 1000,
  total: 12 * 3_600_000,
  opening: 30_000,
  start: 30_000,
  rest: 60_000,
  parting: 2000,
}

interface Means {
  readonly manners: Manners
  /** Whether the options of the client that follow links are taken away before rsync sees them. */
  readonly withoutLinkOptions: boolean
  readonly times: Times
}

const lineFeed = 10
const longestGreeting = 1024

/** One client and the rsync that serves it. Neither outlives the other. */
export class Transfer {
  readonly since = new Date()
  readonly address: string
  readonly module: string
  /** Resolves to rsync's exit code when it and the connection have ended; undefined when it was ended. */
  readonly over: Promise<number | undefined>
  readonly #host: Host
  readonly #socket: Socket

  /**
   * Has an rsync that has greeted over the connection itself serve its client: it is told what the client said so far,
   * and what that says from now on. What it answers we never see.
   */
  static direct(client: Client, host: Host, module: string, means: Means): Transfer {
    return new Transfer(client, host, module, means)
  }

  /**
   * Has an rsync serve a client that was greeted before: the greeting is swallowed, and from there on bytes go both
   * ways as they come.
   * @throws RequestError when it does not greet, or otherwise; nothing has been sent then
   */
  static async through(
    client: Client,
    host: Host,
    module: string,
    means: Means & { bandwidth: Bandwidth | undefined },
  ): Promise<Transfer> {
    const { manners, bandwidth, times } = means
    const { stdout } = host.child
    if (stdout === null) throw new TypeError('it does not speak through us')
    const heard = await firstLine(stdout, times.start)
    if (heard === undefined) throw notStarted()
    if (heard !== manners.greeting) throw replaced()
    const transfer = new Transfer(client, host, module, means)
    const { socket } = client
    const lane = bandwidth?.lane()
    if (lane === undefined) {
      stdout.pipe(socket)
    } else {
      stdout.pipe(lane).pipe(socket)
      socket.once('close', () => lane.destroy())
    }
    // What nobody takes any more goes nowhere; left in the pipe, it would keep rsync and its end from us.
    const taker = lane ?? socket
    if (taker.destroyed) stdout.resume()
    else taker.once('close', () => stdout.resume())
    return transfer
  }

  private constructor(client: Client, host: Host, module: string, means: Means) {
    const { manners, times, withoutLinkOptions } = means
    const { socket, address } = client
    const { child } = host
    this.address = address
    this.module = module
    this.#host = host
    this.#socket = socket
    host.serves(module)
    const ended = ending(child)
    const timers: NodeJS.Timeout[] = []
    this.over = closing(socket).then(() => {
      for (const timer of timers) clearTimeout(timer)
      this.end()
      return ended
    })
    const within = (milliseconds: number, otherwise: () => void) => {
      timers.push(setTimeout(otherwise, milliseconds))
    }
    const parting = () => within(times.parting, () => this.end())
    within(times.total, () => this.end())
    timers.push(this.#watch(socket, times.idle))
    if (client.gone.aborted) parting()
    else client.gone.addEventListener('abort', parting, { once: true })
    ended.then(() => {
      if (socket.destroyed) return
      // What a client has said to an rsync that refused it is for nobody now; unread, it would hide that it hangs up.
      socket.unpipe()
      socket.resume()
      if (host.line === 'direct') socket.end()
      within(times.rest, () => socket.destroy())
    })
    const { said, rest, protocol } = client.handOver()
    child.stdin.write(said)
    // Options end so as of protocol 30.
    if (manners.option !== undefined) child.stdin.write(`${manners.option}${protocol >= 30 ? '\0' : '\n'}`)
    const heard = withoutLinkOptions ? new LinkOptionFilter(protocol) : child.stdin
    if (heard !== child.stdin) heard.pipe(child.stdin)
    heard.write(rest)
    socket.pipe(heard)
  }

  /** Sent to the client. */
  get bytes(): number {
    return this.#host.bytes
  }

  /** Ends it, unless it has ended; the client sees the connection close. */
  end(): void {
    this.#host.end()
    // rsync ends when it is rid of what it has said, and this client may be the one that does not take it.
    this.#socket.destroy()
  }

  #watch(socket: Socket, idle: number): NodeJS.Timeout {
    let last = { moved: this.#host.moved, at: performance.now() }
    return setInterval(() => {
      const { moved } = this.#host
      const now = performance.now()
      if (moved === undefined || moved !== last.moved) last = { moved, at: now }
      else if (now - last.at >= idle) socket.destroy()
    }, idle / 10)
  }
}

const closing = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) resolve()
    else socket.once('close', () => resolve())
  })

/**
 * Its standard output may hold much yet, for a client that takes nothing: that is not waited for.
 * @returns the exit code; undefined when it was ended
 */
const ending = (child: Child): Promise<number | undefined> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode ?? undefined)
    else child.once('exit', (code) => resolve(code ?? undefined))
  })

/** Takes the first line from what rsync says. @returns undefined when there is none */
function firstLine(stdout: Readable, patience: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let said = Buffer.alloc(0)
    const end = (line?: string) => {
      clearTimeout(timer)
      stdout.off('data', hear)
      stdout.off('close', gone)
      stdout.pause()
      resolve(line)
    }
    const hear = (chunk: Buffer) => {
      said = Buffer.concat([said, chunk])
      const at = said.indexOf(lineFeed)
      if (at === -1 && said.length <= longestGreeting) return
      end(said.toString('latin1', 0, at + 1))
      if (at + 1 < said.length) stdout.unshift(said.subarray(at + 1))
    }
    const gone = () => end()
    const timer = setTimeout(gone, patience)
    stdout.on('data', hear)
    stdout.once('close', gone)
  })
}

const replaced = (): RequestError =>
  new RequestError('UNAVAILABLE', 'the rsync of this server was just replaced -- try again now')
