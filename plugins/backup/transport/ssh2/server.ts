import { createServer, type Server, type Socket } from 'node:net'
import ssh2, { type Connection } from 'ssh2'
import { type Bindable, ConnectionLimit, type Logger, shareOfDescriptors } from '../../../../core/api.js'
import type { Sessions } from '../../session/session.js'
import type { Transport } from '../transport.js'
import { algorithms, cheapAlgorithms, hasCheapCiphers } from './algorithms.js'
import { type ByKey, type ConnectionLimits, type Counter, SshConnection } from './connection.js'
import { heedGuess } from './guess.js'
import { hostKeys } from './host-keys.js'
import { overhearOpening } from './opening.js'
import { Turnstile, type TurnstileLimits } from './turnstile.js'
import { Visitor } from './visitor.js'

export interface Ssh2Options {
  /** Directory of the host keys. */
  readonly keys: string
  readonly sessions: Sessions
  readonly byKey: ByKey
  readonly log: Logger
  readonly limits?: Partial<Limits>
}

/** Of those who have not said yet what they can. */
interface NewcomerLimits {
  readonly newcomers: number
  /** Of one network. */
  readonly newcomersAlike: number
}

export type Limits = TurnstileLimits & ConnectionLimits & NewcomerLimits

const usualLimits: Limits = {
  // As many as are let in or wait when a school comes at once.
  newcomers: shareOfDescriptors(1 / 4, 1280),
  newcomersAlike: shareOfDescriptors(1 / 8, 768),
  connections: 256,
  perNetwork: 192,
  waiting: shareOfDescriptors(1 / 8, 1024),
  patience: 120_000,
  // A lost packet is sent again after a second, and an XO-1 needs less than one for its part of the key exchange.
  silence: 2_000,
  silenceOfMany: 1_000,
  handshake: 30_000,
  idle: 60_000,
  // "none", then each key in the client's hand is asked about and shown: six keys.
  attempts: 13,
  channels: 4,
  channelsInAll: 1000,
  hoard: 8 << 20,
}

/** Milliseconds between questions whether a silent client is still there; three without an answer end it. */
const keepalive = { keepaliveInterval: 15_000, keepaliveCountMax: 3 }

/** Milliseconds after which a client that has said its line, and no more, is offered everything. */
const openingPatience = 1000

/** What the server says first; "SSH-2.0-" and the end of the line are the protocol's. */
const ident = 'sugar-server'
const identification = Buffer.from(`SSH-2.0-${ident}\r\n`)

/**
 * ssh of our own: it knows laptops by their keys, takes the DSA keys that every Sugar makes whatever OpenSSH is
 * installed, and runs nothing but rsync (docs/reference/protocols.md: backup, DSA keys).
 */
export async function openSsh2(options: Ssh2Options): Promise<Ssh2Transport> {
  return new Ssh2Transport(options, await hostKeys(options.keys))
}

type SshServer = InstanceType<typeof ssh2.Server>

export class Ssh2Transport implements Transport {
  /** To be bound by whoever knows the port. */
  readonly server: Bindable
  readonly #net: Server
  readonly #ssh: SshServer
  /** For those whose cipher can be cheap. */
  readonly #cheapSsh: SshServer
  readonly #limits: Limits
  /** Sockets that have said nothing, or not all of it: they cost little, and give way to others. */
  readonly #newcomers: ConnectionLimit<Socket>
  readonly #turnstile: Turnstile
  /** Let in, and not heard by ssh2 yet; by where they come from. */
  readonly #arriving = new Map<string, { visitor: Visitor; timer: NodeJS.Timeout }>()
  readonly #connections = new Set<SshConnection>()

  constructor({ sessions, byKey, log, limits }: Ssh2Options, keys: readonly string[]) {
    this.#limits = { ...usualLimits, ...limits }
    const counter = { sessions, byKey, log, limits: this.#limits }
    const { newcomers: most, newcomersAlike: perNetwork } = this.#limits
    this.#newcomers = new ConnectionLimit({
      ...{ what: 'ssh that have said nothing yet', most, perNetwork, log },
    })
    this.#turnstile = new Turnstile(this.#limits, log, (visitor) => this.#enter(visitor))
    const serverOf = (offer: typeof algorithms | typeof cheapAlgorithms): SshServer =>
      new ssh2.Server({
        hostKeys: [...keys],
        ident,
        algorithms: Object.fromEntries(Object.entries(offer).map(([kind, names]) => [kind, [...names]])),
        ...keepalive,
      }).on('connection', (client, { ip, port }) => this.#greet(client, nameOf(ip, port), counter))
    this.#ssh = serverOf(algorithms)
    this.#cheapSsh = serverOf(cheapAlgorithms)
    this.#net = createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true }, (socket) =>
      this.#arrive(socket),
    )
    this.server = this.#net
  }

  get where(): string {
    const address = this.#net.address()
    return typeof address === 'object' && address !== null ? `port ${address.port}` : 'not listening'
  }

  get connections(): number {
    return this.#turnstile.count
  }

  async close(): Promise<void> {
    this.#net.close()
    this.#newcomers.destroyAll()
    this.#turnstile.clear()
    for (const { visitor } of this.#arriving.values()) visitor.destroy()
    await Promise.all([...this.#connections].map((connection) => connection.close()))
  }

  #arrive(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    const address = socket.remoteAddress
    if (address === undefined) return void socket.destroy()
    if (!this.#newcomers.add(socket)) return
    const visitor = new Visitor(socket, address)
    const late = setTimeout(() => socket.destroy(), this.#limits.handshake)
    const leave = () => {
      clearTimeout(late)
      this.#newcomers.delete(socket)
    }
    socket.once('close', leave)
    // Old clients say nothing before they have been told.
    socket.write(identification)
    const mayPass = () => this.#turnstile.isRoomy(visitor)
    overhearOpening(socket, { patience: openingPatience, mayPass }, (opening) => {
      leave()
      visitor.opening = opening
      this.#turnstile.arrive(visitor)
    })
  }

  #enter(visitor: Visitor): void {
    const { socket, opening } = visitor
    const name = nameOf(socket.remoteAddress, socket.remotePort)
    const timer = setTimeout(() => socket.destroy(), this.#limits.handshake)
    this.#arriving.set(name, { visitor, timer })
    socket.once('close', () => {
      clearTimeout(timer)
      if (this.#arriving.get(name)?.visitor === visitor) this.#arriving.delete(name)
    })
    skipIdentification(socket)
    const ssh = opening !== undefined && hasCheapCiphers(opening) ? this.#cheapSsh : this.#ssh
    // The server of ssh2 takes no socket from anywhere else. It resumes this one when it listens.
    ssh.injectSocket(socket)
  }

  #greet(client: Connection, name: string, counter: Counter): void {
    const arrived = this.#arriving.get(name)
    if (arrived === undefined) {
      // Closed in the same moment.
      client.on('error', () => {}).end()
      return
    }
    const { visitor, timer } = arrived
    this.#arriving.delete(name)
    if (visitor.opening !== undefined) heedGuess(client, visitor.opening)
    const connection = new SshConnection(client, visitor, counter)
    client.once('ready', () => clearTimeout(timer))
    this.#connections.add(connection)
    visitor.socket.once('close', async () => {
      await connection.close()
      this.#connections.delete(connection)
    })
  }
}

/** Has a socket forget the first thing that ssh2 (1.17) writes to it, which the client has had already. */
function skipIdentification(socket: Socket): void {
  socket.write = (first: unknown) => {
    Reflect.deleteProperty(socket, 'write')
    return (first instanceof Buffer && identification.equals(first)) || socket.write(first as Buffer)
  }
}

const nameOf = (ip = '', port = 0): string => `${ip} ${port}`
