import type { Chapter, Context, Logger, Story } from '../../core/api.js'
import { type Keyring, parseSerial } from '../keyring/public.js'
import { SchoolCalendar } from './calendar/calendar.js'
import { Clock } from './calendar/clock.js'
import { LeaseEnds } from './calendar/ends.js'
import type { Answer } from './decision/answer.js'
import { Decision } from './decision/decision.js'
import { Planner } from './decision/planner.js'
import { ClockResets } from './decision/resets.js'
import type { collections } from './documents.js'
import { Door } from './doors/door.js'
import { buildsIn, parseHints } from './doors/hints.js'
import { serveOats } from './doors/oats.js'
import type { Request } from './doors/request.js'
import { serveRest } from './doors/rest.js'
import { Incoming } from './intake/incoming.js'
import type { options } from './options.js'
import type { Hints } from './public.js'
import { Roll } from './roll/roll.js'
import { Visits } from './roll/visits.js'
import {
  chapterOf,
  differingUuids,
  endingDelegations,
  endingLeases,
  modeOf,
  statusOf,
  strangeLeases,
} from './survey/status.js'
import { type Sources, type Survey, survey } from './survey/survey.js'

type None = Record<never, never>
export type ActivationContext = Pick<
  Context<typeof options, None, { keyring: typeof Keyring }, typeof collections, None>,
  'config' | 'log' | 'wants' | 'store' | 'http' | 'listen' | 'on' | 'every' | 'defer' | 'health'
>

const secondsBetweenSaves = 30

/** Milliseconds for which the checks of health go by one look at all laptops. */
const surveyLasts = 60_000

/** The parts of activation, put together. */
export class Service {
  readonly roll: Roll
  readonly keyring: Keyring | undefined
  readonly calendar: SchoolCalendar
  readonly planner: Planner
  readonly decision: Decision
  readonly visits: Visits
  readonly hints: Hints
  readonly config: ActivationContext['config']
  readonly log: Logger
  readonly #clock: Clock
  readonly #resets: ClockResets
  readonly #door: Door
  #surveyed: { readonly at: number; readonly found: Promise<Survey> } | undefined

  static async open(ctx: ActivationContext): Promise<Service> {
    const { store, log } = ctx
    const roll = await Roll.open(ctx)
    await Incoming.clean(ctx)
    const visits = await Visits.open(store.visits, roll, log)
    return new Service(ctx, { roll, visits })
  }

  private constructor(ctx: ActivationContext, { roll, visits }: Pick<Service, 'roll' | 'visits'>) {
    const { config, log } = ctx
    const { keyring } = ctx.wants
    this.roll = roll
    this.visits = visits
    this.keyring = keyring
    this.config = config
    this.log = log
    this.calendar = SchoolCalendar.parse(config['school-days'], config['school-holidays'])
    const ends = new LeaseEnds(this.calendar)
    this.#clock = new Clock(() => visits.latest)
    const days = config['activation-days']
    this.planner = new Planner({ roll, keyring, visits, clock: this.#clock, ends, days, log })
    this.decision = new Decision(this.planner, keyring, visits, log)
    this.#resets = new ClockResets(this.planner, keyring, log)
    this.#door = new Door((request) => this.#answerOf(request), log)
    const hints = parseHints(config['oats-hints'])
    this.hints = { builds: () => buildsIn(hints) }
    this.#serve(ctx, hints)
  }

  /** What tells until when laptops go on. */
  get sources(): Sources {
    const { roll, planner, visits, keyring } = this
    return { roll, planner, visits, keyring }
  }

  async status(): Promise<Chapter> {
    return statusOf(
      await modeOf(this.keyring),
      await survey(this.sources, this.decision.now()),
      this.#door.size,
    )
  }

  async explain(wanted: string): Promise<Partial<Story> | undefined> {
    const serial = parseSerial(wanted)
    if (serial === undefined) return undefined
    const entry = this.roll.get(serial)
    const visit = this.visits.get(serial)
    if (entry === undefined && visit === undefined && 'lacks' in this.planner.means(serial)) return undefined
    const { laptop, theft } = entry ?? {}
    const prospect = await this.decision.prospect(serial)
    const days = this.planner.daysOf(laptop)
    const isAtOdds = this.planner.isAtOdds(serial)
    return { activation: chapterOf({ serial, laptop, theft, visit, days, prospect, isAtOdds }) }
  }

  #serve(
    { http, listen, on, every, defer, health }: ActivationContext,
    hints: ReturnType<typeof parseHints>,
  ): void {
    const { router } = http
    serveRest(router, (serial) => this.#decide(serial))
    serveOats(router, {
      keyring: this.keyring,
      hints,
      now: () => this.decision.now(),
      isKnown: (serial) => this.roll.get(serial) !== undefined,
      isStolen: (serial) => this.planner.isStolen(serial),
      lastLease: (serial) => ({
        days: this.planner.daysOf(this.roll.get(serial)?.laptop),
        until: this.visits.get(serial)?.until,
      }),
      answer: (serial) => this.#decide(serial),
      seen: (serial) => this.visits.note(serial, undefined, this.decision.now()),
    })
    defer(() => this.visits.save())
    defer(() => this.#door.close())
    listen('activation-port', this.#door.server, { ipv6: true })
    on('drain', () => this.#door.drain())
    every(1, () => this.#door.sweep())
    every(secondsBetweenSaves, () => this.visits.save())
    health('leases', async () => endingLeases(await this.#survey(), this.decision.now()))
    if (this.keyring === undefined) health('clock', () => this.#clock.fault())
    health('uuids', async () => differingUuids(await this.#survey()))
    health('keys', async () => strangeLeases(await this.#survey()))
    health('delegations', async () => endingDelegations(await this.#survey(), this.decision.now()))
  }

  #survey(): Promise<Survey> {
    const now = performance.now()
    if (this.#surveyed === undefined || now - this.#surveyed.at > surveyLasts)
      this.#surveyed = { at: now, found: survey(this.sources, this.decision.now()) }
    return this.#surveyed.found
  }

  /** The text of an answer over TCP, to the byte. */
  #answerOf(request: Request): string | Promise<string> {
    if (request.ask === 'rtcreset') return this.#reset(request)
    const { serial } = request
    const answer = this.decision.answer(serial)
    return 'kind' in answer
      ? this.#textOf(serial, answer)
      : answer.then((given) => this.#textOf(serial, given))
  }

  async #reset({ serial, current, nonce }: Extract<Request, { ask: 'rtcreset' }>): Promise<string> {
    const line = await this.#resets.answer(serial, current, nonce)
    this.log.debug({ serial, given: line !== undefined }, 'a laptop asked to set its clock')
    return line === undefined ? '' : `${line}\n`
  }

  async #decide(serial: string): Promise<Answer> {
    const answer = await this.decision.answer(serial)
    this.#note(serial, answer)
    return answer
  }

  #textOf(serial: string, answer: Answer): string {
    this.#note(serial, answer)
    if (answer.kind === 'lease') return `${answer.line}\n`
    return answer.kind === 'stolen' ? 'STOLEN' : ''
  }

  #note(serial: string, answer: Answer): void {
    this.visits.note(serial, answer, this.decision.now())
    this.log.debug({ serial, kind: answer.kind, why: answer.why }, 'a laptop asked for a lease')
  }
}
