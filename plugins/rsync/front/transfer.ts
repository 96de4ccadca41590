import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { judgedStream, type Logger, Pace, RequestError } from '../../../core/api.js'
import { idleSeconds } from '../modules/stanza.js'
import type { Module } from '../public.js'
import { ModuleHead } from '../stream/module-head.js'
import { refusalBytes } from '../stream/refusal.js'
import type { Bandwidth } from './bandwidth.js'
import type { Child } from './child.js'
import type { Client } from './client.js'
import { type Host, notStarted } from './host.js'
import type { Manners } from './installed.js'
import { LinkOptionFilter } from './link-options.js'
import { agreedProtocol, type Opening } from './opening.js'
import { textOf } from './words.js'

/** Milliseconds. */
export interface Times {
  /** Without a byte in either direction. */
  readonly idle: number
  readonly total: number
  /** Which every transfer has, however little moves. */
  readonly grace: number
  /** Bytes a second, no milliseconds: what must have moved on average after that. */
  readonly rate: number
  /** To say what is wanted. */
  readonly opening: number
  /** For rsync to greet. */
  readonly start: number
  /** For a client to take the rest when rsync has ended. */
  readonly rest: number
  /** For rsync to end by itself when its client has hung up. */
  readonly parting: number
  /** In which a client that was refused something, and says nothing more, has read what. */
  readonly silence: number
  /** In which one has that goes on speaking. */
  readonly lastWords: number
}

export const usual: Times = {
  idle: idleSeconds * 1000,
  total: 12 * 3_600_000,
  grace: 1_800_000,
  rate: 1000,
  opening: 30_000,
  start: 30_000,
  rest: 60_000,
  parting: 2000,
  silence: 200,
  lastWords: 400,
}

interface Means {
  readonly log: Logger
  readonly manners: Manners
  readonly times: Times
}

const lineFeed = 10
const longestGreeting = 1024

/** One client and the rsync that serves it. Neither outlives the other. */
export class Transfer {
  readonly since = new Date()
  readonly address: string
  readonly module: string
  readonly #means: Means
  /** Resolves to rsync's exit code when it and the connection have ended; undefined when it was ended. */
  readonly over: Promise<number | undefined>
  readonly #host: Host
  readonly #socket: Socket
  /** What the client is told when its rsync has been ended for what it sent. */
  #words: Buffer | undefined

  /**
   * Has an rsync that has greeted over the connection itself serve its client: it is told what the client said so far,
   * and what that says from now on. What it answers we never see.
   */
  static direct(client: Client, host: Host, module: Module, means: Means): Transfer {
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
    module: Module,
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
    const last = lane === undefined ? stdout : stdout.pipe(lane)
    last.pipe(socket, { end: false })
    last.once('end', () => void transfer.#part(ending(host.child)))
    if (lane !== undefined) socket.once('close', () => lane.destroy())
    // What nobody takes any more goes nowhere; left in the pipe, it would keep rsync and its end from us.
    const taker = lane ?? socket
    if (taker.destroyed) stdout.resume()
    else taker.once('close', () => stdout.resume())
    return transfer
  }

  private constructor(client: Client, host: Host, module: Module, means: Means) {
    const { manners, times } = means
    const { socket, address } = client
    const { child } = host
    this.address = address
    this.module = module.name
    this.#means = means
    this.#host = host
    this.#socket = socket
    host.serves(module.name)
    const ended = ending(child)
    const timers: NodeJS.Timeout[] = []
    this.over = closing(socket).then(async () => {
      for (const timer of timers) clearTimeout(timer)
      this.end()
      const code = await ended
      if (code === 0) await host.counted()
      return code
    })
    const within = (milliseconds: number, otherwise: () => void) => {
      timers.push(setTimeout(otherwise, milliseconds))
    }
    const parting = () => within(times.parting, () => this.end())
    timers.push(this.#watch())
    if (client.gone.aborted) parting()
    else client.gone.addEventListener('abort', parting, { once: true })
    ended.then(() => {
      if (socket.destroyed) return
      // What a client has said to an rsync that has ended is dropped; unread, it would hide that it hangs up.
      socket.unpipe()
      socket.resume()
      if (host.line === 'direct') void this.#part(ended)
      within(times.rest, () => socket.destroy())
    })
    const opening = client.handOver()
    const { said, rest, protocol } = opening
    child.stdin.write(said)
    // Options end so as of protocol 30.
    if (manners.option !== undefined) child.stdin.write(`${manners.option}${protocol >= 30 ? '\0' : '\n'}`)
    const sink = this.#sinkFor(module, child, opening)
    sink.write(rest)
    socket.pipe(sink)
  }

  #sinkFor({ owners }: Module, child: Child, opening: Opening): Writable {
    if (owners === 'files') return this.#judged(child, opening)
    if (owners !== 'attributes') return child.stdin
    // Options that follow links are taken away before rsync sees them.
    const filter = new LinkOptionFilter(opening.protocol)
    filter.pipe(child.stdin)
    return filter
  }

  /** What the client says on its way to an rsync that has the directory as it is on the disk. */
  #judged(child: Child, opening: Opening): Writable {
    const { version } = this.#means.manners
    const protocol = agreedProtocol(version.protocol, opening)
    const head = new ModuleHead({ protocol, rsync: version, module: this.module })
    const judged = judgedStream(head, (reason) => {
      const { address, module } = this
      this.#means.log.warn({ address, module }, `refused to ${address}: ${reason.message}`)
      this.#words = refusalBytes(protocol, textOf(reason), head.isBegun)
      this.#host.kill()
    })
    judged.pipe(child.stdin)
    return judged
  }

  /** Nothing more comes from rsync: says what there is to say in its place, and hangs up. */
  async #part(ended: Promise<number | undefined>): Promise<void> {
    const socket = this.#socket
    if ((await ended) !== 0) {
      // A client that is busy sending, as a long list, reads an error only while the connection is open.
      socket.write(this.#words ?? '')
      await quiet(socket, this.#means.times)
      // And it goes on for half a minute, unless it is cut off as the system does where a daemon has ended.
      socket.once('data', () => socket.destroy())
    }
    socket.end()
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

  #watch(): NodeJS.Timeout {
    const { idle, total, grace, rate } = this.#means.times
    const limits = { idle, total, start: grace, rate }
    const pace = new Pace(limits, performance.now(), this.#host.moved)
    const look = () => {
      const fault = pace.look(performance.now(), this.#host.moved)
      if (fault === undefined) return
      const { address, module } = this
      this.#means.log.warn({ address, module, fault }, `ended the transfer of ${address}: it is ${fault}`)
      this.end()
    }
    return setInterval(look, Math.min(idle, total) / 10)
  }
}

const closing = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) resolve()
    else socket.once('close', () => resolve())
  })

/** Waits until nothing comes from a connection for a while, or for long enough. */
const quiet = (socket: Socket, { silence, lastWords }: Times): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(longest)
      clearTimeout(silent)
      socket.off('data', again)
      socket.off('close', end)
      resolve()
    }
    const longest = setTimeout(end, lastWords)
    let silent = setTimeout(end, silence)
    const again = () => {
      clearTimeout(silent)
      silent = setTimeout(end, silence)
    }
    socket.on('data', again)
    socket.once('close', end)
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
