import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { type Logger, RequestError, SystemError } from '../../../../core/api.js'
import type { Sessions } from '../../session/session.js'
import { refusalOf } from '../refusal.js'
import type { Transport } from '../transport.js'
import { authorizedKeysLine, isPublicKey } from './authorized-keys.js'
import { doorSocket } from './door-socket.js'
import { type Door, lease } from './lease.js'
import { type Fields, lineOf, readLines } from './lines.js'

/** Those who may come over sshd. */
export interface Laptops {
  byUid(uid: string): Promise<{ uid: string; nickname: string } | undefined>
  /** @param blob the key as base64 */
  byKey(blob: string): Promise<{ uid: string } | undefined>
}

export interface SshdOptions {
  /** The house's root; its directory `run` is there. */
  readonly root: string
  /** Absolute path of the program sugar-server, for the lines of authorized_keys. */
  readonly program: string
  readonly sessions: Sessions
  readonly laptops: Laptops
  readonly log: Logger
  /** What those who look at the status must know of this sshd. */
  readonly remark?: string | undefined
}

// sun_path in <sys/un.h> has 108 bytes, the last one for NUL.
const longestPath = 107
const mostDoors = 512
/** Milliseconds that a door has to say what it wants. */
const patience = 10_000

/**
 * The server's end of the socket that sshd's forced command talks to. Whoever can open it can be any laptop, so only
 * its owner and root can.
 * @throws SystemError NOT_WRITABLE
 */
export async function openSshd(options: SshdOptions): Promise<SshdTransport> {
  const path = doorSocket(options.root)
  if (Buffer.byteLength(path) > longestPath) {
    throw new SystemError('NOT_WRITABLE', `${path} is too long for a socket (at most ${longestPath} bytes)`, {
      hint: 'choose a root with a shorter path',
    })
  }
  const transport = new SshdTransport(options, path)
  await transport.listen()
  return transport
}

export class SshdTransport implements Transport {
  readonly #options: SshdOptions
  readonly #path: string
  readonly #server: Server
  readonly #doors = new Map<Socket, Promise<void>>()

  constructor(options: SshdOptions, path: string) {
    this.#options = options
    this.#path = path
    this.#server = createServer((socket) => this.#welcome(socket))
  }

  get where(): string {
    const { remark } = this.#options
    return `sshd, by the door ${this.#path}${remark === undefined ? '' : `; ${remark}`}`
  }

  get connections(): number {
    return this.#doors.size
  }

  async listen(): Promise<void> {
    // The house's lock is held: a socket that is already there belongs to nobody.
    rmSync(this.#path, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const hint = 'check the directory'
        reject(new SystemError('NOT_WRITABLE', `${this.#path}: ${cause.message}`, { hint, cause }))
      })
      this.#server.listen(this.#path, resolve)
    })
    chmodSync(this.#path, 0o600)
  }

  async close(): Promise<void> {
    this.#server.close()
    rmSync(this.#path, { force: true })
    const served = [...this.#doors.values()]
    for (const socket of this.#doors.keys()) socket.destroy()
    await Promise.all(served)
  }

  #welcome(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    if (this.#doors.size >= mostDoors) return void socket.destroy()
    const served = this.#serve(doorOf(socket))
      .catch((error: unknown) => {
        if (socket.writable) socket.write(lineOf(refusalOf(error, this.#options.log)))
      })
      .finally(() => {
        this.#doors.delete(socket)
        socket.end()
        setTimeout(() => socket.destroy(), patience).unref()
      })
    this.#doors.set(socket, served)
  }

  async #serve(door: Door): Promise<void> {
    const late = setTimeout(() => door.socket.destroy(), patience)
    const wanted = await door.next()
    clearTimeout(late)
    if (wanted === undefined) return
    const { key, uid, command, address } = wanted
    if (typeof key === 'string') {
      door.socket.write(lineOf({ line: await this.#lineFor(key) }))
      return
    }
    if (typeof uid !== 'string' || typeof command !== 'string' || typeof address !== 'string') {
      throw new RequestError('REQUEST_INVALID', 'the request is garbled')
    }
    const { laptops, sessions, log } = this.#options
    const learner = /^[0-9a-f]{40}$/.test(uid) ? await laptops.byUid(uid) : undefined
    if (learner === undefined) {
      throw new RequestError('REFUSED', 'this laptop is not registered', { hint: 'register it again' })
    }
    const caller = { uid: learner.uid, nickname: learner.nickname, address, transport: 'sshd' as const }
    await lease(sessions, caller, command, door, log)
  }

  /** @returns a line of authorized_keys; empty when nobody has the key */
  async #lineFor(pubkey: string): Promise<string> {
    if (!isPublicKey(pubkey)) return ''
    const { laptops, program, root } = this.#options
    const learner = await laptops.byKey(pubkey.split(' ')[1] ?? '')
    return learner === undefined ? '' : authorizedKeysLine({ program, root, uid: learner.uid, pubkey })
  }
}

/** Lines as they are asked for. A door says four things at most: one that says more is cut off. */
function doorOf(socket: Socket): Door {
  const gone = new AbortController()
  const lines: Fields[] = []
  let waiting: ((fields: Fields | undefined) => void) | undefined
  const heard = (fields: Fields) => {
    if (lines.length >= 4) return void socket.destroy()
    lines.push(fields)
    const wake = waiting
    waiting = undefined
    wake?.(lines.shift())
  }
  readLines(socket, heard, () => socket.destroy())
  socket.once('close', () => {
    gone.abort()
    waiting?.(undefined)
  })
  return {
    socket,
    gone: gone.signal,
    next: () =>
      new Promise((resolve) => {
        if (lines.length > 0) resolve(lines.shift())
        else if (gone.signal.aborted) resolve(undefined)
        else waiting = resolve
      }),
  }
}
