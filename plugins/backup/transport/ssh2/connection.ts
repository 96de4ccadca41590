import type { Socket } from 'node:net'
import ssh2, {
  type AcceptConnection,
  type AuthContext,
  type Connection as Client,
  type RejectConnection,
  type ServerChannel,
  type Session,
} from 'ssh2'
import type { Logger } from '../../../../core/api.js'
import type { Caller, Sessions } from '../../session/session.js'
import { refusalLines } from '../refusal.js'
import { say, silence } from './channel.js'
import { execute } from './exec.js'
import type { Visitor } from './visitor.js'

/** Says whose a key is. @param blob the key as base64 */
export type ByKey = (blob: string) => Promise<{ uid: string; nickname: string } | undefined>

export interface ConnectionLimits {
  /** Milliseconds until the client must have shown who it is. */
  readonly handshake: number
  /** Milliseconds that a connection may stay when nothing runs. */
  readonly idle: number
  /** Questions and failures before the client must have shown its key. */
  readonly attempts: number
  /** Channels at once, and over the connection's whole life. */
  readonly channels: number
  readonly channelsInAll: number
  /** Bytes that the client has sent against all windows, or not fetched, beyond which it is cut off. */
  readonly hoard: number
}

export interface Counter {
  readonly sessions: Sessions
  readonly byKey: ByKey
  readonly log: Logger
  readonly limits: ConnectionLimits
}

/** Characters of the longest key that is looked up, as base64. */
const longestKey = 8192

/** One connection: who comes, and the commands it runs. Its faults stay its own. */
export class SshConnection {
  readonly #client: Client
  readonly #visitor: Visitor
  readonly #socket: Socket
  readonly #counter: Counter
  readonly #gone = new AbortController()
  readonly #channels = new Set<ServerChannel>()
  readonly #running = new Set<Promise<void>>()
  #caller: Caller | undefined
  /** Why the client is not logged in yet, as far as it is known. */
  #obstacle = 'it hung up, or stopped answering'
  #attempts = 0
  #sessions = 0
  #sessionsInAll = 0
  #timer: NodeJS.Timeout | undefined

  constructor(client: Client, visitor: Visitor, counter: Counter) {
    const { socket } = visitor
    this.#client = client
    this.#visitor = visitor
    this.#socket = socket
    this.#counter = counter
    client.on('handshake', () => visitor.awaitNext())
    client.on('authentication', (attempt) => {
      visitor.owesSince = undefined
      this.#authenticate(attempt)
        .catch((error: unknown) => this.#fault(error))
        .finally(() => {
          if (this.#running.size === 0) visitor.awaitNext()
        })
    })
    client.on('ready', () => this.#rest())
    client.on('session', (accept, reject) => this.#session(accept, reject))
    client.on('error', (error) => this.#fault(error))
    client.on('end', () => this.#end())
    client.on('close', () => this.#end())
    // Neither ssh2 nor the client's good manners bound these.
    socket.on('data', () => this.#watch())
  }

  /** Ends it. @returns when everything that ran has ended */
  async close(): Promise<void> {
    this.#end()
    this.#part()
    await Promise.all(this.#running)
    this.#socket.destroy()
  }

  async #authenticate(attempt: AuthContext): Promise<void> {
    const { attempts } = this.#counter.limits
    this.#attempts += 1
    if (this.#attempts > attempts) return this.#fault(new Error('too many attempts'))
    if (attempt.method !== 'publickey') return attempt.reject(['publickey'])
    const { key, signature, blob, hashAlgo } = attempt
    const text = key.data.toString('base64')
    const learner = text.length <= longestKey ? await this.#counter.byKey(text) : undefined
    if (this.#gone.signal.aborted) return
    if (learner === undefined) {
      this.#obstacle = 'no laptop is registered with its key'
      return attempt.reject(['publickey'])
    }
    if (signature === undefined) return attempt.accept()
    const parsed = ssh2.utils.parseKey(`${key.algo} ${text}`)
    const shown =
      !(parsed instanceof Error) &&
      !Array.isArray(parsed) &&
      parsed.type === key.algo &&
      blob !== undefined &&
      parsed.verify(blob, signature, hashAlgo) === true
    if (!shown) return attempt.reject(['publickey'])
    const { uid, nickname } = learner
    this.#caller = { uid, nickname, address: this.#visitor.address, transport: 'ssh2' }
    attempt.accept()
  }

  #session(accept: AcceptConnection<Session>, reject: RejectConnection): void {
    const { channels, channelsInAll } = this.#counter.limits
    if (this.#sessions >= channels || this.#sessionsInAll >= channelsInAll) return void reject()
    const session = accept()
    this.#sessions += 1
    this.#sessionsInAll += 1
    const closed = new AbortController()
    session.once('close', () => {
      this.#sessions -= 1
      closed.abort()
    })
    let taken = false
    session.on('exec', (acceptExec, rejectExec, { command }) => {
      const channel = taken ? undefined : acceptExec()
      taken = true
      if (channel) this.#run(channel, command, closed.signal)
      else rejectExec?.()
    })
    // People try it; the other doors (pty, sftp, forwarding) stay shut without a word, as ssh2 does by itself.
    session.on('shell', (acceptShell, rejectShell) => {
      const channel = taken ? undefined : acceptShell()
      taken = true
      if (!channel) return void rejectShell?.()
      this.#adopt(channel)
      channel.on('error', () => {})
      channel.resume()
      say(channel, refusalLines({ message: 'there is no shell here; only rsync is answered' }))
      channel.exit(77)
      channel.end()
    })
  }

  #run(channel: ServerChannel, command: string, closed: AbortSignal): void {
    if (this.#caller === undefined) return void channel.close()
    this.#adopt(channel)
    clearTimeout(this.#timer)
    this.#visitor.owesSince = undefined
    // Not AbortSignal.any(): Node 20 may forget such a signal when it collects garbage.
    const gone = new AbortController()
    const hangUp = () => gone.abort()
    const signals = [closed, this.#gone.signal]
    for (const signal of signals) signal.addEventListener('abort', hangUp)
    if (this.#gone.signal.aborted) gone.abort()
    const line = { channel, gone: gone.signal, socket: this.#socket, log: this.#counter.log }
    const running = execute(this.#counter.sessions, this.#caller, command, line)
      .catch((error: unknown) => this.#fault(error))
      .finally(() => {
        for (const signal of signals) signal.removeEventListener('abort', hangUp)
        this.#running.delete(running)
        this.#rest()
      })
    this.#running.add(running)
  }

  #adopt(channel: ServerChannel): void {
    this.#channels.add(channel)
    channel.once('close', () => this.#channels.delete(channel))
  }

  /** Nothing runs: it may stay a little, for what comes next. */
  #rest(): void {
    clearTimeout(this.#timer)
    if (this.#running.size > 0 || this.#gone.signal.aborted) return
    this.#visitor.awaitNext()
    this.#timer = setTimeout(() => this.#fault(new Error('idle')), this.#counter.limits.idle)
  }

  #watch(): void {
    const { hoard } = this.#counter.limits
    const unread = [...this.#channels].reduce((sum, channel) => sum + channel.readableLength, 0)
    if (unread <= hoard * this.#channels.size && this.#socket.writableLength <= hoard) return
    this.#fault(new Error('sends more than it may, or does not fetch what it asked for'))
    this.#socket.destroy()
  }

  #fault(error: unknown): void {
    this.#counter.log.debug({ ip: this.#visitor.address, err: error }, 'an ssh connection ended')
    if (error instanceof Error && this.#attempts === 0) this.#obstacle = error.message
    this.#end()
    this.#part()
    // A client that does not answer is not waited for.
    setTimeout(() => this.#socket.destroy(), 1000).unref()
  }

  #part(): void {
    try {
      this.#client.end()
    } catch {
      // ssh2 has already given up on it, and throws on everything.
      this.#socket.destroySoon()
    }
  }

  #end(): void {
    clearTimeout(this.#timer)
    for (const channel of this.#channels) silence(channel)
    if (this.#caller === undefined && !this.#gone.signal.aborted) {
      const { address, opening } = this.#visitor
      const facts = { ip: address, client: opening?.software }
      this.#counter.log.info(facts, `a client did not log in over ssh: ${this.#obstacle}`)
    }
    this.#gone.abort()
  }
}
