import { createServer, type Server, type Socket } from 'node:net'
import ssh2, { type Connection } from 'ssh2'
import type { Bindable, Logger } from '../../../../core/api.js'
import type { Sessions } from '../../session/session.js'
import type { Transport } from '../transport.js'
import { algorithms, cheapAlgorithms, hasCheapCiphers } from './algorithms.js'
import { type ByKey, type ConnectionLimits, type Counter, SshConnection } from './connection.js'
import { hostKeys } from './host-keys.js'
import { overhearOpening } from './opening.js'
import { Turnstile, type TurnstileLimits } from './turnstile.js'

export interface Ssh2Options {
  /** Directory of the host keys. */
  readonly keys: string
  readonly sessions: Sessions
  readonly byKey: ByKey
  readonly log: Logger
  readonly limits?: Partial<Limits>
}

export type Limits = TurnstileLimits & ConnectionLimits

const usualLimits: Limits = {
  connections: 256,
  perAddress: 192,
  waiting: 1024,
  patience: 120_000,
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

/** Milliseconds that a client has to say what it can, before it is offered everything. */
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
  readonly #turnstile: Turnstile
  /** Let in, and yet to say that they speak ssh; by where they come from. */
  readonly #arriving = new Map<string, { socket: Socket; address: string; timer: NodeJS.Timeout }>()
  readonly #connections = new Set<SshConnection>()

  constructor({ sessions, byKey, log, limits }: Ssh2Options, keys: readonly string[]) {
    this.#limits = { ...usualLimits, ...limits }
    const counter = { sessions, byKey, log, limits: this.#limits }
    this.#turnstile = new Turnstile(this.#limits, (socket, address) => this.#meet(socket, address))
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
      this.#turnstile.arrive(socket),
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
    this.#turnstile.clear()
    for (const { socket } of this.#arriving.values()) socket.destroy()
    await Promise.all([...this.#connections].map((connection) => connection.close()))
  }

  #meet(socket: Socket, address: string): void {
    const name = nameOf(socket.remoteAddress, socket.remotePort)
    const timer = setTimeout(() => socket.destroy(), this.#limits.handshake)
    this.#arriving.set(name, { socket, address, timer })
    socket.once('close', () => {
      clearTimeout(timer)
      if (this.#arriving.get(name)?.socket === socket) this.#arriving.delete(name)
    })
    // Old clients say nothing before they have been told.
    socket.write(identification)
    overhearOpening(socket, openingPatience, (opening) => {
      skipIdentification(socket)
      const ssh = opening !== undefined && hasCheapCiphers(opening) ? this.#cheapSsh : this.#ssh
      // The server of ssh2 takes no socket from anywhere else. It resumes this one when it listens.
      ssh.injectSocket(socket)
    })
  }

  #greet(client: Connection, name: string, counter: Counter): void {
    const arrived = this.#arriving.get(name)
    if (arrived === undefined) {
      // Closed in the same moment.
      client.on('error', () => {}).end()
      return
    }
    const { socket, address, timer } = arrived
    this.#arriving.delete(name)
    const connection = new SshConnection(client, socket, address, counter)
    client.once('ready', () => clearTimeout(timer))
    this.#connections.add(connection)
    socket.once('close', async () => {
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
