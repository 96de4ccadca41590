import { access, constants } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { ConnectionLimit, type Logger, RequestError, shareOfDescriptors } from '../../../core/api.js'
import type { Registry } from '../modules/registry.js'
import type { Module, Pulled } from '../public.js'
import type { Bandwidth } from './bandwidth.js'
import { Client } from './client.js'
import type { Configuration } from './configuration.js'
import type { Hearing } from './hearing.js'
import { type Held, Holds } from './holds.js'
import { Host, notStarted } from './host.js'
import type { Installed, Manners } from './installed.js'
import type { Opening } from './opening.js'
import { Seats } from './seats.js'
import { type Times, Transfer } from './transfer.js'
import { errorLine, listing, motdOf, noPlace, textOf, unknownCommand, unknownModule } from './words.js'

export interface FrontParts {
  readonly registry: Registry
  readonly installed: Installed
  readonly bandwidth: Bandwidth | undefined
  readonly motd: string
  readonly connections: number
  readonly connectionsEach: number
  readonly times: Times
  readonly log: Logger
  opened(event: Omit<Pulled, 'bytes'>): void
  pulled(event: Pulled): void
}

/** What there is only while the doors are open. */
export interface Ground {
  readonly configuration: Configuration
  readonly hearing: Hearing | undefined
}

/** Connections of one kind that no rsync serves: the laptops of a large school twice over. */
const mostSilent = 2000
/** Rsyncs that may greet before it is known what their clients want. */
const mostAhead = 32

/**
 * The rsync daemon that clients see (docs/reference/protocols.md: Builds, The daemon protocol).
 *
 * An rsync is started for who greets, with the connection as its output: it greets back. What the client says is read
 * here and passed on to it only when it is to serve a module that it knows; then it speaks with its client directly,
 * and is as fast as any daemon. Lists and refusals come from here. A module that was made while its client was held is
 * unknown to the rsync that greeted: there another one serves through us, as for fakeroot, for a limited bandwidth, and
 * for whom none was started: who says nothing at first, or all at once, or when too many have said no more.
 */
export class Front {
  readonly server: Server
  readonly #parts: FrontParts
  /** Those who have not said yet what they want. rsync says its two lines at once. */
  readonly #newcomers: ConnectionLimit<Socket>
  /** Those who have been told why they are not served, and have not hung up. */
  readonly #leavers: ConnectionLimit<Socket>
  readonly #seats: Seats
  readonly #holds: Holds
  readonly #transfers = new Set<Transfer>()
  /** Rsyncs that have greeted for us. */
  readonly #ahead = new Set<Host>()
  readonly #visits = new Set<Promise<void>>()
  readonly #clients = new Set<Client>()
  readonly #ground: Promise<Ground | undefined>
  #begin: (ground: Ground | undefined) => void = () => undefined
  #closing = false
  #turnedAway = 0

  constructor(parts: FrontParts) {
    this.#parts = parts
    const most = shareOfDescriptors(1 / 4, mostSilent)
    const { log } = parts
    this.#newcomers = new ConnectionLimit({ what: 'rsync that have asked for nothing yet', most, log })
    this.#leavers = new ConnectionLimit({ what: 'rsync that were refused', most, log })
    this.#seats = new Seats(parts.connections, parts.connectionsEach)
    this.#holds = new Holds(parts.registry)
    this.#ground = new Promise((resolve) => {
      this.#begin = resolve
    })
    // Half open, for what rsync still has to say to a client that has said all.
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const client = Client.of(socket)
      if (client === undefined) return
      this.#clients.add(client)
      socket.once('close', () => this.#clients.delete(client))
      this.#arrive(client)
    })
  }

  get transfers(): readonly Transfer[] {
    return [...this.#transfers]
  }

  get held(): readonly Held[] {
    return this.#holds.list()
  }

  /** Connections that have not said yet what they want. */
  get newcomers(): number {
    return this.#newcomers.count
  }

  /** Clients that found no place since the start. */
  get turnedAway(): number {
    return this.#turnedAway
  }

  /** All is there that connections need; until then they wait. */
  begin(ground: Ground): void {
    this.#begin(ground)
  }

  /** Serves nobody new, and waits for transfers under way. */
  async drain(): Promise<void> {
    this.#closing = true
    this.#begin(undefined)
    this.#newcomers.destroyAll()
    this.#holds.end(stopping())
    await Promise.all(this.#visits)
  }

  /** Ends transfers that are still under way, and is done. */
  async close(): Promise<void> {
    this.#closing = true
    for (const transfer of this.#transfers) transfer.end()
    await this.drain()
    // Those who have not gone yet although all is said.
    for (const { socket } of this.#clients) socket.destroy()
    const ground = await this.#ground
    ground?.hearing?.close()
  }

  #arrive(client: Client): void {
    const visit = this.#visit(client).catch((error: unknown) => this.#refuse(client, error))
    this.#visits.add(visit)
    visit.finally(() => this.#visits.delete(visit))
  }

  async #visit(client: Client): Promise<void> {
    this.#newcomers.add(client.socket)
    const { waits, opening } = client.hear(this.#parts.times.opening)
    let host: Host | undefined
    let wanted: Opening
    try {
      host = await this.#greet(client, waits)
      wanted = await (host === undefined ? opening : Promise.race([opening, host.ended]))
    } catch (error) {
      await host?.leave()
      throw error
    } finally {
      if (host !== undefined) this.#ahead.delete(host)
      this.#newcomers.delete(client.socket)
    }
    await this.#answer(client, wanted, host).finally(() => host?.leave())
  }

  /** @returns the rsync that greets, where one can be had and the client waits for it */
  async #greet(client: Client, waits: Promise<boolean>): Promise<Host | undefined> {
    const { registry, bandwidth, log } = this.#parts
    try {
      const isForRsync = bandwidth === undefined && (await waits)
      const ground = await this.#ground
      if (ground === undefined || this.#closing) throw stopping()
      if (client.gone.aborted) throw new Error('it has hung up')
      const told = isForRsync ? await ground.configuration.tell(registry.list()) : undefined
      if (told !== undefined && !client.hasAsked && this.#ahead.size < mostAhead) {
        const host = Host.start(client, 'direct', { told, hearing: ground.hearing, log })
        if (host !== undefined) {
          this.#ahead.add(host)
          return host
        }
      }
      client.socket.write((await this.#manners()).greeting)
      return undefined
    } catch (error) {
      // With an error in place of a greeting, clients would complain of that instead.
      client.socket.write('@RSYNCD: 30.0\n')
      throw error
    }
  }

  async #answer(client: Client, opening: Opening, host: Host | undefined): Promise<void> {
    const { registry, motd } = this.#parts
    const { wanted, protocol } = opening
    let module = registry.get(wanted)
    // It knows no module that is made from now on, and clients may be held by the hundred.
    const ahead = module !== undefined && host?.knows(module) ? host : undefined
    // Before a word of ours: a client may not have waited to be greeted.
    if (ahead === undefined) await host?.leave()
    if (motd !== '') client.socket.write(motdOf(motd))
    if (wanted === '' || wanted === '#list') return this.#dismiss(client, listing(registry.list(), protocol))
    if (wanted.startsWith('#')) return this.#dismiss(client, unknownCommand(wanted))
    module ??= await this.#holds.wait(wanted, client)
    if (module === undefined) return this.#dismiss(client, unknownModule(wanted))
    if (this.#closing) throw stopping()
    const seat = this.#seats.take(client.address)
    if (typeof seat === 'number') {
      await ahead?.leave()
      return this.#turnAway(client, seat)
    }
    const leaveModule = registry.enter(module.name)
    try {
      await this.#transfer(client, module, ahead)
    } finally {
      leaveModule()
      seat()
    }
  }

  async #transfer(client: Client, module: Module, host: Host | undefined): Promise<void> {
    const { times, log, opened, pulled } = this.#parts
    await access(module.path, constants.R_OK | constants.X_OK).catch(() => {
      throw new RequestError('UNAVAILABLE', `module '${module.name}' is not there now -- try again later`)
    })
    const manners = await this.#manners()
    const transfer =
      host === undefined
        ? await this.#through(client, module, manners)
        : Transfer.direct(client, host, module, { manners, times, log })
    this.#transfers.add(transfer)
    const { address } = client
    opened({ module: module.name, address, at: transfer.since.toISOString() })
    if (this.#closing) transfer.end()
    const code = await transfer.over
    this.#transfers.delete(transfer)
    const { bytes } = transfer
    const seconds = Math.round((Date.now() - transfer.since.getTime()) / 100) / 10
    const what = code === 0 ? 'fetched from' : 'broke off fetching from'
    log.info({ module: module.name, address, bytes, seconds, code }, `${address} ${what} ${module.name}`)
    pulled({ module: module.name, address, at: new Date().toISOString(), bytes })
  }

  async #through(client: Client, module: Module, manners: Manners): Promise<Transfer> {
    const { registry, installed, bandwidth, times, log } = this.#parts
    const ground = await this.#ground
    if (ground === undefined) throw stopping()
    const told = await ground.configuration.tell(registry.list())
    const host = Host.start(client, 'through', {
      ...{ told, log, hearing: ground.hearing, owners: module.owners },
    })
    if (host === undefined) throw notStarted()
    try {
      return await Transfer.through(client, host, module, { manners, bandwidth, times, log })
    } catch (error) {
      host.abandon()
      installed.forget()
      throw error
    }
  }

  /** @throws RequestError for a client, when rsync does not work */
  async #manners(): Promise<Manners> {
    const { installed, log } = this.#parts
    try {
      return await installed.manners()
    } catch (error) {
      log.error({ err: error }, 'nobody can be served')
      throw notStarted()
    }
  }

  #turnAway(client: Client, limit: number): void {
    this.#turnedAway += 1
    this.#dismiss(client, noPlace(limit))
  }

  #dismiss(client: Client, words: string): void {
    if (client.socket.destroyed) return
    const { socket } = client
    this.#leavers.add(socket)
    socket.once('close', () => this.#leavers.delete(socket))
    client.leave(words)
  }

  #refuse(client: Client, error: unknown): void {
    if (error instanceof RequestError) {
      this.#dismiss(client, errorLine(textOf(error)))
    } else if (client.gone.aborted) {
      client.socket.destroy()
    } else {
      this.#parts.log.error({ err: error }, `${client.address} could not be served`)
      this.#dismiss(client, errorLine('the school server cannot do that now -- try again later'))
    }
  }
}

const stopping = (): RequestError =>
  new RequestError('UNAVAILABLE', 'the school server is stopping -- try again in a few minutes')
