import { RequestError } from '../../../core/api.js'
import { type Clock, systemClock } from './clock.js'

const second = 1000
/** How long a slot is kept for who was told to come. */
const kept = 60 * second
/** Who asks again and again without coming keeps it no longer than this. */
const keptAtMost = 180 * second
/** After a transfer: old laptops come with three or four in a row (docs/reference/protocols.md: backup, The transfer). */
const lingering = 5 * second
const mostInARow = 8
const longestWait = 60 * second
const mostWaiting = 200
/** Sessions of one learner at a time, running and waiting. */
const mostOfOne = 4
/** For so long after somebody asked in vain, slots are shared out between those who ask and those who just come. */
const pressure = 120 * second

/** A transfer that runs. */
export interface Stay {
  /** Gives the slot back; a second call does nothing. */
  leave(): void
}

/** The transfers of a learner that follow one another on one slot. */
interface Visit {
  readonly asked: boolean
  transfers: number
}

interface Reservation {
  since: number
  until: number
  visit: Visit
  /** Kept after a transfer, and given away when somebody waits or is told to come. */
  lingers: boolean
}

interface Waiter {
  readonly uid: string
  begin(stay: Stay): void
}

export interface SlotFigures {
  total: number
  running: number
  reserved: number
  /** Transfers that wait for a slot, connected. */
  waiting: number
}

/**
 * How many transfers run at a time. Whoever is told to come has a slot reserved, so that thirty laptops are not
 * promised the same one. Those who come without having asked take what is free or wait in line; while others ask
 * in vain, half of the slots are out of their reach.
 */
export class Slots {
  readonly total: number
  readonly #clock: Clock
  readonly #running = new Map<string, number>()
  readonly #reserved = new Map<string, Reservation>()
  readonly #waiting = new Set<Waiter>()
  #stays = 0
  #unasked = 0
  #askedInVain = Number.NEGATIVE_INFINITY
  #cancelWake = () => {}

  /** @param total transfers at a time, 1 or more */
  constructor(total: number, clock: Clock = systemClock) {
    this.total = total
    this.#clock = clock
  }

  /** Slots that are neither used nor reserved. */
  get free(): number {
    this.#lapse()
    return Math.max(0, this.total - this.#stays - this.#promised)
  }

  figures(): SlotFigures {
    this.#lapse()
    return {
      total: this.total,
      running: this.#stays,
      reserved: this.#promised,
      waiting: this.#waiting.size,
    }
  }

  isRunning(uid: string): boolean {
    return this.#running.has(uid)
  }

  /** How long a slot is still kept for who was told to come, in milliseconds; 0: none is. */
  keptFor(uid: string): number {
    const reservation = this.#reserved.get(uid)
    if (reservation === undefined || reservation.lingers) return 0
    return Math.max(0, reservation.until - this.#clock.now())
  }

  /**
   * Keeps a slot for a minute, until the learner's transfer begins. One that is kept already is kept longer, up to
   * three minutes in all. A learner whose transfer runs needs none.
   * @returns false when none is free
   */
  reserve(uid: string): boolean {
    const free = this.free
    if (this.#running.has(uid)) return true
    const now = this.#clock.now()
    const reservation = this.#reserved.get(uid)
    if (reservation !== undefined && !reservation.lingers) {
      reservation.until = Math.max(reservation.until, Math.min(now + kept, reservation.since + keptAtMost))
      return true
    }
    if (reservation === undefined && free === 0) {
      this.#askedInVain = now
      return false
    }
    const visit = { asked: true, transfers: 0 }
    this.#reserved.set(uid, { since: now, until: now + kept, visit, lingers: false })
    this.#makeRoom()
    this.#letIn()
    return true
  }

  /**
   * A transfer begins: on the learner's reservation, else on a free slot, else after a wait in line, a minute at most.
   * @param gone aborted when the laptop hangs up; the place in line is given up. A stay that was returned is the
   * caller's to leave, whatever happens.
   * @throws RequestError UNAVAILABLE
   */
  async enter(uid: string, gone: AbortSignal): Promise<Stay> {
    if (gone.aborted) throw hungUp()
    if (this.#sessionsOf(uid) >= mostOfOne)
      throw busy(`${mostOfOne} transfers of this laptop are under way already`, 'wait until they have ended')
    this.#lapse()
    const reservation = this.#reserved.get(uid)
    if (reservation !== undefined) {
      this.#reserved.delete(uid)
      return this.#begin(uid, reservation.visit)
    }
    if (this.#waiting.size === 0 && this.#hasRoom()) return this.#begin(uid, { asked: false, transfers: 0 })
    if (this.#waiting.size >= mostWaiting)
      throw busy('too many laptops wait for their backup', 'try again in half an hour')
    return this.#wait(uid, gone)
  }

  #wait(uid: string, gone: AbortSignal): Promise<Stay> {
    return new Promise((resolve, reject) => {
      const leaveLine = () => {
        this.#waiting.delete(waiter)
        cancel()
        gone.removeEventListener('abort', hangUp)
      }
      const waiter: Waiter = {
        uid,
        begin(stay) {
          leaveLine()
          resolve(stay)
        },
      }
      const hangUp = () => {
        leaveLine()
        this.#planWake()
        reject(hungUp())
      }
      const cancel = this.#clock.later(longestWait, () => {
        // A reservation may lapse at this very moment.
        this.#letIn()
        if (!this.#waiting.has(waiter)) return
        leaveLine()
        this.#planWake()
        reject(busy('the school server is busy with other backups', 'try again in a few minutes'))
      })
      gone.addEventListener('abort', hangUp, { once: true })
      this.#waiting.add(waiter)
      this.#planWake()
    })
  }

  #begin(uid: string, visit: Visit): Stay {
    this.#running.set(uid, (this.#running.get(uid) ?? 0) + 1)
    this.#stays += 1
    if (!visit.asked) this.#unasked += 1
    visit.transfers += 1
    this.#makeRoom()
    let left = false
    return {
      leave: () => {
        if (!left) this.#end(uid, visit)
        left = true
      },
    }
  }

  #end(uid: string, visit: Visit): void {
    const others = (this.#running.get(uid) ?? 0) - 1
    if (others > 0) this.#running.set(uid, others)
    else this.#running.delete(uid)
    this.#stays -= 1
    if (!visit.asked) this.#unasked -= 1
    const goesOn = visit.transfers < mostInARow && (visit.asked || !this.#isPressed())
    if (goesOn && !this.#reserved.has(uid)) {
      const now = this.#clock.now()
      this.#reserved.set(uid, { since: now, until: now + lingering, visit, lingers: true })
    }
    this.#letIn()
  }

  /** Lets those in who wait and now may, in order. */
  #letIn(): void {
    this.#lapse()
    for (const waiter of [...this.#waiting]) {
      const own = this.#reserved.get(waiter.uid)
      if (own !== undefined && !own.lingers) {
        this.#reserved.delete(waiter.uid)
        waiter.begin(this.#begin(waiter.uid, own.visit))
      } else if (this.#hasRoom()) {
        waiter.begin(this.#begin(waiter.uid, { asked: false, transfers: 0 }))
      }
    }
    this.#planWake()
  }

  /** Whether somebody who did not ask may begin. */
  #hasRoom(): boolean {
    if (this.#isPressed() && this.#unasked >= Math.max(1, Math.floor(this.total / 2))) return false
    return this.free > 0
  }

  /** Slots that are kept for those who were told to come. */
  get #promised(): number {
    let promised = 0
    for (const { lingers } of this.#reserved.values()) if (!lingers) promised += 1
    return promised
  }

  /** What only lingers after a transfer goes to whoever comes or is told to. */
  #makeRoom(): void {
    for (const [uid, { lingers }] of this.#reserved) {
      if (this.#stays + this.#reserved.size <= this.total) return
      if (lingers) this.#reserved.delete(uid)
    }
  }

  /** Time alone lets somebody in when a reservation lapses, or when nobody has asked in vain for a while. */
  #planWake(): void {
    this.#cancelWake()
    this.#cancelWake = () => {}
    if (this.#waiting.size === 0) return
    const now = this.#clock.now()
    const times = [...this.#reserved.values()].map(({ until }) => until)
    if (this.#isPressed()) times.push(this.#askedInVain + pressure)
    if (times.length === 0) return
    this.#cancelWake = this.#clock.later(Math.max(1, Math.min(...times) - now), () => this.#letIn())
  }

  #lapse(): void {
    const now = this.#clock.now()
    for (const [uid, { until }] of this.#reserved) if (until <= now) this.#reserved.delete(uid)
  }

  #isPressed(): boolean {
    return this.#clock.now() - this.#askedInVain < pressure
  }

  #sessionsOf(uid: string): number {
    let sessions = this.#running.get(uid) ?? 0
    for (const waiter of this.#waiting) if (waiter.uid === uid) sessions += 1
    return sessions
  }
}

const busy = (message: string, hint: string) => new RequestError('UNAVAILABLE', message, { hint })

const hungUp = () => busy('the laptop hung up while it waited', 'connect again')
