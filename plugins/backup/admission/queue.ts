import { type Clock, systemClock } from './clock.js'
import { Pace } from './pace.js'

const second = 1000
const minute = 60 * second
const day = 86_400 * second
const mostRemembered = 5000
/** A laptop may be so early and still be on time. */
const earliness = 2 * second
/** A free slot is left for those who are due within this time, or are late by no more than the next. */
const soon = 5 * second
const late = 10 * second
/** Who comes before its time leaves more to those who keep theirs. */
const soonForTheEarly = 30 * second
/** So late, it no longer counts for the places of others. */
const missing = 30 * second
const forgotten = 15 * minute
/** Who asks more often than this is told the same again. */
const lookAgain = 10 * second
/** Days without a backup that count; who never had one is ahead of all that had. */
const mostDays = 60
const mostTries = 6

interface Place {
  readonly name: string
  /** Days without a good backup. */
  need: number
  readonly since: number
  /** When it is expected back. */
  due: number
  /** When its question was last looked at in earnest. */
  looked: number
  /** How often it was told to come back. */
  told: number
  readonly order: number
}

/** For people: how one stands in the queue. Times in milliseconds. */
export interface Standing {
  /** 1 is the next one. */
  place: number
  of: number
  waits: number
  /** Until it is expected back; negative when it is late. */
  due: number
}

/** How a laptop chooses its time to come back: as it is told, or by the steps that OLPC XS laptops have built in. */
export type Manner = 'told' | 'steps'

/**
 * Those who were told to come back. The longest without a good backup goes first; a minute of waiting counts as much
 * as a day without a backup, so that everybody's turn comes; whoever had a slot twice and made nothing of it is put
 * behind.
 */
export class Queue {
  readonly pace: Pace
  readonly #clock: Clock
  readonly #places = new Map<string, Place>()
  /** Slots that were given since the last good backup. */
  readonly #tries = new Map<string, number>()
  #order = 0
  #swept = Number.NEGATIVE_INFINITY

  /** @param random from 0 to below 1 */
  constructor(slots: number, clock: Clock = systemClock, random: () => number = Math.random) {
    this.#clock = clock
    this.pace = new Pace(slots, random)
  }

  /** Those who are expected back. */
  get size(): number {
    const now = this.#clock.now()
    let size = 0
    for (const place of this.#places.values()) if (isExpected(place, now)) size += 1
    return size
  }

  /** Milliseconds that the one who has waited longest waits by now; 0: nobody waits. */
  get oldestWait(): number {
    const now = this.#clock.now()
    let since = now
    for (const place of this.#places.values())
      if (isExpected(place, now)) since = Math.min(since, place.since)
    return now - since
  }

  has(name: string): boolean {
    return this.#places.has(name)
  }

  /**
   * What to tell somebody who was just told to come back later and asks again nevertheless.
   * @returns whole seconds; undefined when the question deserves a look
   */
  again(name: string): number | undefined {
    const place = this.#places.get(name)
    const now = this.#clock.now()
    if (place === undefined || !isEarly(place, now) || now - place.looked >= lookAgain) return undefined
    return left(place, now)
  }

  /**
   * Whether it is somebody's turn: a free slot is left for those who are better placed only if they come in seconds.
   * @param lastGood date of the last good backup
   * @param free slots
   */
  isTurnOf(name: string, lastGood: number | undefined, free: number): boolean {
    const now = this.#clock.now()
    const mine = this.#places.get(name) ?? this.#newcomer(name, now)
    mine.need = this.#need(lastGood)
    const until = now + (isEarly(mine, now) ? soonForTheEarly : soon)
    let better = 0
    for (const other of this.#places.values()) {
      if (other.due <= until && other.due > now - late && this.#isAhead(other, mine, now)) better += 1
      if (better >= free) return false
    }
    return free > 0
  }

  /**
   * Somebody has to come back. Whoever comes too early is told the same time again.
   * @returns whole seconds for Retry-After
   */
  wait(name: string, lastGood: number | undefined, manner: Manner): number {
    const now = this.#clock.now()
    this.#sweep(now)
    const known = this.#places.get(name)
    if (known === undefined && this.#places.size >= mostRemembered) return this.pace.late()
    const place = known ?? this.#newcomer(name, now)
    const early = isEarly(place, now)
    place.need = this.#need(lastGood)
    place.looked = now
    if (early && manner === 'told') return left(place, now)
    this.#places.set(name, place)
    // Steps that begin anew are those of another day, or of a laptop that was started again.
    place.told = early ? 1 : place.told + 1
    const seconds = manner === 'steps' ? step(place.told) : this.pace.retryAfter(this.#ahead(place, now))
    place.due = now + seconds * second
    return seconds
  }

  /** Somebody was given a slot. */
  given(name: string): void {
    this.#places.delete(name)
    const tries = (this.#tries.get(name) ?? 0) + 1
    // Set anew, so that the map stays in the order of last use and its head can be forgotten.
    this.#tries.delete(name)
    this.#tries.set(name, tries)
    if (this.#tries.size > mostRemembered) this.#tries.delete(this.#tries.keys().next().value ?? '')
  }

  /** Slots that somebody was given since the last good backup. */
  triesOf(name: string): number {
    return this.#tries.get(name) ?? 0
  }

  /** Somebody has a good backup now. @param ms how long the transfer had its slot */
  finished(name: string, ms: number): void {
    this.#tries.delete(name)
    this.#places.delete(name)
    this.pace.took(ms)
  }

  /** Somebody need not come back. */
  forget(name: string): void {
    this.#places.delete(name)
  }

  standingOf(name: string): Standing | undefined {
    const place = this.#places.get(name)
    if (place === undefined) return undefined
    const now = this.#clock.now()
    const of = isExpected(place, now) ? this.size : this.size + 1
    return { place: this.#ahead(place, now) + 1, of, waits: now - place.since, due: place.due - now }
  }

  #newcomer(name: string, now: number): Place {
    this.#order += 1
    return { name, need: 0, since: now, due: now, looked: now, told: 0, order: this.#order }
  }

  #need(lastGood: number | undefined): number {
    if (lastGood === undefined) return mostDays + 1
    return Math.min(mostDays, Math.max(0, (this.#clock.date() - lastGood) / day))
  }

  #ahead(place: Place, now: number): number {
    let ahead = 0
    for (const other of this.#places.values())
      if (isExpected(other, now) && this.#isAhead(other, place, now)) ahead += 1
    return ahead
  }

  #isAhead(one: Place, other: Place, now: number): boolean {
    if (one.name === other.name) return false
    const difference = this.#rank(one, now) - this.#rank(other, now)
    return difference === 0 ? one.order < other.order : difference > 0
  }

  #rank(place: Place, now: number): number {
    const wasted = Math.min(mostTries, this.triesOf(place.name)) - 1
    return place.need + (now - place.since) / minute - Math.max(0, wasted) * mostDays
  }

  #sweep(now: number): void {
    if (now - this.#swept < 5 * second) return
    this.#swept = now
    for (const [name, { due }] of this.#places) if (now - due > forgotten) this.#places.delete(name)
  }
}

const isExpected = (place: Place, now: number): boolean => place.due > now - missing

const isEarly = (place: Place, now: number): boolean => place.due - now > earliness

const left = (place: Place, now: number): number => Math.max(10, Math.ceil((place.due - now) / second))

/** Laptops of OLPC XS come back after 2, 4, 8, 16, 32 and 64 minutes (docs/reference/protocols.md: backup, Asking for permission). */
const step = (told: number): number => 60 * 2 ** Math.min(6, told)
