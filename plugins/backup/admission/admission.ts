import { RateLimit } from '../../../core/api.js'
import { type Clock, systemClock } from './clock.js'
import { type Form, parseQuestion, type Question, type Sound } from './question.js'
import { Queue } from './queue.js'
import { Room } from './room.js'
import type { Slots } from './slots.js'

/** What was decided, in one word; `asked` of the status counts them. */
export type Kind =
  | 'go'
  | 'have'
  | 'malformed'
  | 'unknown'
  | 'stopping'
  | 'refused'
  | 'load'
  | 'space'
  | 'away'
  | 'wait'
  | 'again'
  | 'flood'

/** What a laptop is told. */
export interface Verdict {
  readonly kind: Kind
  readonly status: 200 | 204 | 400 | 404 | 503
  /** Seconds; with every 503. */
  readonly retryAfter?: number
  /** A lower-case sentence that the laptop may show. */
  readonly reason: string
}

/** What admission has to know. */
export interface Facts {
  /** Everyone who may be meant by what a laptop calls itself. @param who a uuid or uid, or a serial, its form checked */
  learners(who: string, form: Form): Promise<readonly { readonly uid: string }[]>
  /** Date of the last good backup, milliseconds since 1970. */
  lastGood(uid: string): number | undefined
  /** sha256 of the Journal as it was kept last, 64 lower-case hex digits. */
  digest(uid: string): string | undefined
  /** Why this learner may not back up, for the child to read. */
  refusal(uid: string): string | undefined
  /** Why the archive cannot be used now, for operators. */
  away(): Promise<string | undefined>
  /** What is wrong with the room for backups, for operators. */
  space(): Promise<string | undefined>
  /** Load for each CPU. */
  load(): number
  /** Whether nothing new is begun. */
  draining(): boolean
}

export interface AdmissionFigures {
  slots: number
  running: number
  reserved: number
  /** Transfers that are connected and wait for a slot. */
  inLine: number
  /** Laptops that were told to come back. */
  waiting: number
  /** Seconds that the one of them who has waited longest waits by now. */
  oldestWait: number
  /** Questions since the start, by what was decided. */
  asked: Record<string, number>
}

interface Means {
  clock?: Clock
  /** From 0 to below 1. */
  random?: () => number
}

const refusedFor = 3600
const mostWords = 10_000
/** Questions of one network that cost a look into the store: a whole school may stand behind one router. */
const questions = { burst: 1200, perSecond: 20 }

/** Decides who may back up now (docs/reference/protocols.md: backup, Asking for permission). */
export class Admission {
  readonly #facts: Facts
  readonly #slots: Slots
  readonly #mostLoad: number
  readonly #room: Room
  readonly #archive: Room
  readonly #queue: Queue
  readonly #questions: RateLimit
  /** Whose place a word leads to. */
  readonly #names = new Map<string, string>()
  readonly #asked: Partial<Record<Kind, number>> = {}

  /** @param mostLoad for each CPU; nobody begins above it */
  constructor(
    facts: Facts,
    slots: Slots,
    mostLoad: number,
    { clock = systemClock, random = Math.random }: Means = {},
  ) {
    this.#facts = facts
    this.#slots = slots
    this.#mostLoad = mostLoad
    this.#room = new Room(() => facts.space(), clock)
    this.#archive = new Room(() => facts.away(), clock, 0)
    this.#queue = new Queue(slots.total, clock, random)
    this.#questions = new RateLimit(questions, () => clock.now())
  }

  /** Answers one question. A 200 keeps a slot for a minute. */
  async decide(question: Question): Promise<Verdict> {
    const verdict = await this.#judge(question)
    if (!question.peek) this.#asked[verdict.kind] = (this.#asked[verdict.kind] ?? 0) + 1
    return verdict
  }

  /** A learner has a good backup now. @param ms how long its transfers had their slot */
  finished(uid: string, ms: number): void {
    this.#queue.finished(uid, ms)
  }

  status(): AdmissionFigures {
    const { total, running, reserved, waiting: inLine } = this.#slots.figures()
    const oldestWait = Math.round(this.#queue.oldestWait / 1000)
    const waiting = this.#queue.size
    return { slots: total, running, reserved, inLine, waiting, oldestWait, asked: { ...this.#asked } }
  }

  /** How a learner stands, in words for an operator. */
  explain(uid: string): string {
    if (this.#slots.isRunning(uid)) return 'a transfer runs'
    const kept = this.#slots.keptFor(uid)
    if (kept > 0) return `may begin; a slot is kept for ${span(kept)}`
    const tries = this.#queue.triesOf(uid)
    const wasted =
      tries === 0 ? '' : `; had a slot ${tries === 1 ? 'once' : `${tries} times`} without a good backup since`
    const standing = this.#queue.standingOf(uid)
    if (standing === undefined) return `does not wait${wasted}`
    const { place, of, waits, due } = standing
    const back = due >= 0 ? `expected back in ${span(due)}` : `expected back ${span(-due)} ago`
    return `has waited for ${span(waits)}, number ${place} of ${of}, ${back}${wasted}`
  }

  async #judge(question: Question): Promise<Verdict> {
    const sound = parseQuestion(question)
    if (sound === undefined)
      return {
        kind: 'malformed',
        status: 400,
        reason: 'this is no name of a laptop, or no digest of a Journal',
      }
    const again = this.#queue.again(this.#names.get(sound.word) ?? '')
    if (again !== undefined)
      return later('again', again, 'the school server is busy; please wait as long as it asks')
    // Whoever waits already has shown to be somebody: a flood from behind the same router does not keep him out.
    const waits = this.#queue.has(this.#names.get(sound.word) ?? '')
    if (!waits && !this.#questions.take(question.address))
      return later('flood', this.#queue.pace.between(60, 300), 'too many questions come from this network')
    const learners = await this.#facts.learners(sound.who, sound.form)
    const [first, second] = learners
    if (first === undefined)
      return { kind: 'unknown', status: 404, reason: 'this laptop is not registered with this server' }
    const uid = second === undefined ? first.uid : undefined
    return this.#judgeKnown(sound, uid, question.peek === true)
  }

  /** @param uid undefined when several learners go by that name: machines that are no XO share zeros */
  async #judgeKnown(sound: Sound, uid: string | undefined, peek: boolean): Promise<Verdict> {
    const name = uid ?? sound.word
    const { pace } = this.#queue
    if (this.#facts.draining())
      return later('stopping', pace.between(30, 90), 'the school server is stopping; please try again soon')
    // Before the digest: what was kept may be lost with the disk.
    if ((await this.#archive.lacks()) !== undefined)
      return later(
        'away',
        pace.late(),
        'the school server cannot reach its backups now; please tell your teacher',
      )
    if (uid !== undefined) {
      if (sound.digest !== undefined && this.#facts.digest(uid) === sound.digest) {
        if (!peek) this.#queue.forget(uid)
        return { kind: 'have', status: 204, reason: 'this Journal is kept already' }
      }
      const refusal = this.#facts.refusal(uid)
      if (refusal !== undefined) {
        if (!peek) this.#queue.forget(uid)
        return later('refused', refusedFor, refusal)
      }
    }
    if (this.#facts.load() > this.#mostLoad) return this.#wait('load', sound, name, uid, peek)
    if ((await this.#room.lacks()) !== undefined)
      // XS laptops come back after a 503 only; 507 would end their day (docs/reference/protocols.md: backup, Asking for permission).
      return later(
        'space',
        pace.late(),
        'the disk of the school server takes no backups now; please tell your teacher',
      )
    if (!this.#mayBegin(name, uid, peek)) return this.#wait('wait', sound, name, uid, peek)
    return { kind: 'go', status: 200, reason: 'you may begin' }
  }

  #mayBegin(name: string, uid: string | undefined, peek: boolean): boolean {
    if (uid !== undefined && (this.#slots.isRunning(uid) || this.#slots.keptFor(uid) > 0))
      return peek || this.#slots.reserve(uid)
    // Who has just had a slot gets it again only when it is the turn of nobody else.
    const { free } = this.#slots
    const lastGood = uid === undefined ? undefined : this.#facts.lastGood(uid)
    const isTurn = this.#queue.isTurnOf(name, lastGood, free)
    if (peek) return isTurn
    if (uid === undefined) {
      if (isTurn) this.#queue.forget(name)
      return isTurn
    }
    // With none free the slots are asked all the same: they count who asks in vain.
    if (!(isTurn || free === 0) || !this.#slots.reserve(uid)) return false
    this.#queue.given(uid)
    return true
  }

  #wait(kind: 'load' | 'wait', sound: Sound, name: string, uid: string | undefined, peek: boolean): Verdict {
    const reason = 'the school server is busy with other backups; please try again later'
    const { pace } = this.#queue
    if (peek) return later(kind, pace.retryAfter(this.#queue.size), reason)
    const lastGood = uid === undefined ? undefined : this.#facts.lastGood(uid)
    const seconds = this.#queue.wait(name, lastGood, sound.form === 'serial' ? 'steps' : 'told')
    // Those who share a name share a place, but should not come back in the same second.
    if (uid === undefined) return later(kind, Math.min(3600, seconds + pace.between(0, 120)), reason)
    this.#names.delete(sound.word)
    this.#names.set(sound.word, name)
    if (this.#names.size > mostWords) this.#names.delete(this.#names.keys().next().value ?? '')
    return later(kind, seconds, reason)
  }
}

const later = (kind: Kind, retryAfter: number, reason: string): Verdict => ({
  kind,
  status: 503,
  retryAfter,
  reason,
})

/** A time as people say it. */
function span(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}
