import { createServer, type Server, type Socket } from 'node:net'
import ssh2 from 'ssh2'
import type { Bindable, Logger } from '../../../../core/api.js'
import type { Sessions } from '../../session/session.js'
import type { Transport } from '../transport.js'
import { algorithms } from './algorithms.js'
import { type ByKey, type ConnectionLimits, SshConnection } from './connection.js'
import { hostKeys } from './host-keys.js'
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

/**
 * ssh of our own: it knows laptops by their keys, takes the DSA keys that every Sugar makes whatever OpenSSH is
 * installed, and runs nothing but rsync (docs/reference/protocols.md: backup, DSA keys).
 */
export async function openSsh2(options: Ssh2Options): Promise<Ssh2Transport> {
  return new Ssh2Transport(options, await hostKeys(options.keys))
}

export class Ssh2Transport implements Transport {
  /** To be bound by whoever knows the port. */
  readonly server: Bindable
  readonly #net: Server
  readonly #ssh: InstanceType<typeof ssh2.Server>
  readonly #limits: Limits
  readonly #turnstile: Turnstile
  /** Let in, and yet to say that they speak ssh; by where they come from. */
  readonly #arriving = new Map<string, { socket: Socket; address: string; timer: NodeJS.Timeout }>()
  readonly #connections = new Set<SshConnection>()

  constructor({ sessions, byKey, log, limits }: Ssh2Options, keys: readonly string[]) {
    this.#limits = { ...usualLimits, ...limits }
    const counter = { sessions, byKey, log, limits: this.#limits }
    this.#turnstile = new Turnstile(this.#limits, (socket, address) => this.#meet(socket, address))
    this.#ssh = new ssh2.Server({
      hostKeys: [...keys],
      ident: 'sugar-server',
      algorithms: Object.fromEntries(Object.entries(algorithms).map(([kind, names]) => [kind, [...names]])),
      ...keepalive,
    })
    this.#ssh.on('connection', (client, { ip, port }) => {
      const arrived = this.#arriving.get(nameOf(ip, port))
      if (arrived === undefined) {
        // Closed in the same moment.
        client.on('error', () => {}).end()
        return
      }
      const { socket, address, timer } = arrived
      this.#arriving.delete(nameOf(ip, port))
      const connection = new SshConnection(client, socket, address, counter)
      client.once('ready', () => clearTimeout(timer))
      this.#connections.add(connection)
      socket.once('close', async () => {
        await connection.close()
        this.#connections.delete(connection)
      })
    })
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
    // The server of ssh2 takes no socket from anywhere else.
    this.#ssh.injectSocket(socket)
    socket.resume()
  }
}

const nameOf = (ip = '', port = 0): string => `${ip} ${port}`
