import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../../core/api.js'
import { remove } from './removal.js'

/** Milliseconds between two looks whether somebody still reads what is to go, and how often at most. */
const pause = 2000
const mostLooks = 1800
/** How often a removal is tried: a program that has just been stopped may still write. */
const tries = 3

/**
 * Removes what has no place any more, one after the other and behind everybody's back. A build that is replaced or
 * removed waits for the transfers that are under way, an hour at most. What is left when the server stops goes when it
 * starts again.
 */
export class Leftovers {
  readonly #log: Logger
  readonly #closing = new AbortController()
  readonly #waiting = new Set<Promise<void>>()
  #work: Promise<void> = Promise.resolve()

  constructor(log: Logger) {
    this.#log = log
  }

  /**
   * @param isRead whether somebody may still read it
   * @returns when it is gone, or is left for the next start; never fails
   */
  async add(path: string, isRead: () => boolean = () => false): Promise<void> {
    const { signal } = this.#closing
    const waiting = this.#unread(isRead, signal)
    this.#waiting.add(waiting)
    await waiting
    this.#waiting.delete(waiting)
    this.#work = this.#work.then(() => this.#remove(path, signal))
    await this.#work
  }

  /** Ends the removal under way, and begins no other. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#waiting)
    // Those that were waiting a moment ago have lined up by now.
    await this.#work
  }

  async #unread(isRead: () => boolean, signal: AbortSignal): Promise<void> {
    for (let look = 0; isRead() && look < mostLooks && !signal.aborted; look += 1) await rest(signal)
  }

  async #remove(path: string, signal: AbortSignal): Promise<void> {
    for (let left = tries; left > 0 && !signal.aborted; left -= 1) {
      try {
        await remove(path, signal)
        return
      } catch (err) {
        if (left === 1) this.#log.warn({ err, path }, 'what is not needed any more cannot be removed')
        else await rest(signal)
      }
    }
  }
}

/** A pause that keeps no server from stopping. */
const rest = (signal: AbortSignal): Promise<unknown> =>
  sleep(pause, undefined, { signal, ref: false }).catch(() => undefined)
