import { RequestError } from '../../../core/api.js'

interface Waiter {
  readonly writes: boolean
  begin(): void
}

/**
 * Whose turn it is in one learner's live tree: one who writes, or any number who read. In the order in which they
 * came, so that nobody waits for ever.
 */
class Turn {
  #readers = 0
  #writing = false
  readonly waiting: Waiter[] = []

  get isIdle(): boolean {
    return this.#readers === 0 && !this.#writing && this.waiting.length === 0
  }

  leave(writes: boolean): void {
    if (writes) this.#writing = false
    else this.#readers -= 1
    this.advance()
  }

  advance(): void {
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      if (this.#writing || (next.writes && this.#readers > 0)) return
      this.waiting.shift()
      if (next.writes) this.#writing = true
      else this.#readers += 1
      next.begin()
    }
  }
}

/** Milliseconds that a laptop waits for another session of the same learner; its rsync gives up after 160 s. */
const longestWait = 90_000

/** Turns in all learners' live trees. */
export class Turns {
  readonly #turns = new Map<string, Turn>()

  /**
   * Waits for a turn.
   * @param gone aborted when the laptop hangs up
   * @returns the end of the turn, to be called once
   * @throws RequestError UNAVAILABLE after a minute and a half
   */
  async take(uid: string, mode: 'write' | 'read', gone: AbortSignal): Promise<() => void> {
    gone.throwIfAborted()
    const writes = mode === 'write'
    const turn = this.#turns.get(uid) ?? new Turn()
    this.#turns.set(uid, turn)
    await new Promise<void>((resolve, reject) => {
      const giveUp = (error: Error) => {
        stop()
        turn.waiting.splice(turn.waiting.indexOf(waiter), 1)
        this.#forget(uid, turn)
        turn.advance()
        reject(error)
      }
      const hangUp = () => giveUp(new RequestError('UNAVAILABLE', 'the laptop hung up'))
      const late = setTimeout(
        () =>
          giveUp(
            new RequestError('UNAVAILABLE', 'another backup of this laptop is under way', {
              hint: 'wait until it has ended',
            }),
          ),
        longestWait,
      )
      const stop = () => {
        clearTimeout(late)
        gone.removeEventListener('abort', hangUp)
      }
      const waiter: Waiter = {
        writes,
        begin() {
          stop()
          resolve()
        },
      }
      gone.addEventListener('abort', hangUp, { once: true })
      turn.waiting.push(waiter)
      turn.advance()
    })
    let left = false
    return () => {
      if (left) return
      left = true
      turn.leave(writes)
      this.#forget(uid, turn)
    }
  }

  #forget(uid: string, turn: Turn): void {
    if (turn.isIdle) this.#turns.delete(uid)
  }
}
