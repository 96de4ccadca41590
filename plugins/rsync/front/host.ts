import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, RequestError } from '../../../core/api.js'
import type { Module } from '../public.js'
import { type Child, dismissChild, endChild, killChild, startChild } from './child.js'
import type { Client } from './client.js'
import type { Told } from './configuration.js'
import type { Guest, Hearing } from './hearing.js'

/** How an rsync speaks to its client: over the connection itself, or through us. */
export type Line = 'direct' | 'through'

export const notStarted = (): RequestError =>
  new RequestError('UNAVAILABLE', 'this server cannot start rsync now -- try again later')

export interface Surroundings {
  readonly told: Told
  /** Of a module that only fakeroot can serve. */
  readonly owners?: Module['owners']
  readonly hearing: Hearing | undefined
  readonly log: Logger
}

/** Milliseconds in which the last words of an rsync that has ended are heard. */
const lastWords = 250

/** An rsync for one client. */
export class Host {
  readonly child: Child
  readonly line: Line
  readonly #told: Told
  readonly #guest: Guest
  readonly #client: Client
  readonly #before: number
  readonly #isHeard: boolean
  /** As counted while it lived. */
  #counted = 0

  /** @returns undefined when none can be started; the log says why */
  static start(client: Client, line: Line, { told, owners, hearing, log }: Surroundings): Host | undefined {
    const child = startChild(
      {
        config: told.path,
        ends: client.ends,
        said: hearing?.fd ?? 'ignore',
        ...(line === 'direct' && { socket: client.socket }),
        ...(owners !== undefined && { owners }),
      },
      (error) => log.error({ err: error }, `rsync cannot be started for ${client.address}`),
    )
    // It was paused when rsync was given it, too.
    if (line === 'direct') client.socket.resume()
    return child && new Host(child, line, told, client, hearing)
  }

  private constructor(child: Child, line: Line, told: Told, client: Client, hearing: Hearing | undefined) {
    this.child = child
    this.line = line
    this.#told = told
    this.#client = client
    this.#before = client.socket.bytesWritten
    this.#guest = { address: client.address }
    const forget = hearing?.introduce(child.pid ?? 0, this.#guest)
    this.#isHeard = hearing !== undefined
    // Its last words may still be in the pipe.
    child.once('close', () => setTimeout(() => forget?.(), lastWords).unref())
  }

  /** Waits until rsync's own count is known, after it has ended well. What it says comes by another way than its end. */
  async counted(): Promise<void> {
    if (!this.#isHeard || this.line === 'through') return
    const deadline = performance.now() + lastWords
    while (this.#guest.sent === undefined && performance.now() < deadline) await sleep(5)
  }

  /** Rejects when it has ended. @throws RequestError for a client that it should have served */
  get ended(): Promise<never> {
    return new Promise((_, reject) => {
      this.child.once('close', () => reject(notStarted()))
    })
  }

  /** Whether it was told of a module as it is now. */
  knows({ name, path, owners }: Module): boolean {
    const known = this.#told.modules.find((module) => module.name === name)
    return known?.path === path && known.owners === owners && typeof owners === 'string'
  }

  serves(module: string): void {
    this.#guest.module = module
  }

  /** Sent so far. */
  get bytes(): number {
    if (this.line === 'through') return this.#client.socket.bytesWritten - this.#before
    const { sent } = this.#guest
    if (sent !== undefined) return sent
    this.#counted = this.#written() ?? this.#counted
    return this.#counted
  }

  /** What grows with each byte, whichever way it goes; undefined when that cannot be known. */
  get moved(): number | undefined {
    const written = this.line === 'through' ? this.bytes : this.#written()
    return written === undefined ? undefined : written + this.#client.socket.bytesRead
  }

  /** As the kernel counts it: what goes over the connection directly we never see. */
  #written(): number | undefined {
    try {
      const text = readFileSync(`/proc/${this.child.pid}/io`, 'latin1')
      return Number(/^wchar: (\d+)$/m.exec(text)?.[1])
    } catch {
      return undefined
    }
  }

  /** Ends it, with what was started with it. */
  end(): void {
    // What it leaves unsaid is still known here.
    this.#counted = this.bytes
    endChild(this.child)
  }

  /** Ends it before it says anything more. */
  kill(): void {
    killChild(this.child)
  }

  /** Has it go, having served nobody. @returns when it has, and before that has greeted */
  leave(): Promise<void> {
    return dismissChild(this.child)
  }

  /** Ends it, having served nobody: what it says goes nowhere. It may be fakeroot, which has to clean up. */
  abandon(): void {
    this.child.stdin.destroy()
    this.child.stdout?.resume()
    endChild(this.child)
  }
}
