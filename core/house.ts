import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type Router from 'koa-router'
import { execute, failure, type Surroundings } from './control/execute.js'
import type { CommandReply, CommandRequest } from './control/frames.js'
import { takeLock } from './control/lock.js'
import { openControl } from './control/server.js'
import { asError, SugarError } from './errors.js'
import { explain, type Story } from './explain.js'
import { type ListenerStatus, Listeners } from './http/listeners.js'
import { Kernel } from './kernel/kernel.js'
import type { Member, PluginStatus } from './kernel/member.js'
import { UndoStack } from './kernel/undo.js'
import { type Accepted, acceptDirectory, Directories } from './lib/directories.js'
import type { Plan } from './loading/plan.js'
import type { Log } from './log/log.js'
import { notify } from './notify.js'
import { report } from './report.js'
import { makeRoot } from './root.js'
import type { StoreStatus } from './store/contract.js'
import { NedbStore } from './store/nedb/store.js'
import { version } from './version.js'

/** How long a plugin's health check may take. */
const checkSeconds = 2

export type Phase = 'prepare' | 'start' | 'ready' | 'drain' | 'stop' | 'stopped'

export interface HouseStatus {
  phase: Phase
  version: string
  plugins: PluginStatus[]
  listeners: ListenerStatus[]
  store?: StoreStatus
  /** What the plugins' own checks found wrong. */
  health: { plugin: string; what: string; problem: string }[]
  /** What the plugins tell of their work. */
  reports?: Story
}

/**
 * A server from its first file to its last: lock, control socket, store, plugins, sockets, and the reverse.
 *
 * Not listening, it is the same house with its doors shut: a command that finds no running server runs in one.
 */
export class House {
  readonly kernel: Kernel
  readonly #plan: Plan
  readonly #log: Log
  readonly #listeners: Listeners
  readonly #directories: Directories
  readonly #undo = new UndoStack()
  readonly #hurry = new AbortController()
  #phase: Phase = 'prepare'
  /** Whether it is the service, and not a command's house with its doors shut. */
  #listening = false
  #opening: Promise<void> | undefined
  #checking: Promise<HouseStatus['health']> | undefined
  #stopping: Promise<Error[]> | undefined
  /** Called when somebody asks for the end over the control socket. */
  onStopRequest: () => void = () => undefined

  constructor(plan: Plan, log: Log) {
    this.#plan = plan
    this.#log = log
    this.#listeners = new Listeners(plan.settings, log.logger, () => this.#lacksPlugin)
    this.#directories = new Directories(plan)
    this.kernel = new Kernel({
      members: plan.members,
      settings: plan.settings,
      log: log.logger,
      listeners: this.#listeners,
      store: () => new NedbStore(join(this.root, 'store'), log.logger, this.#directories.store),
      failed: (member, thrown) => this.#tell(member, thrown),
    })
  }

  get root(): string {
    return String(this.#plan.settings.get('root'))
  }

  /**
   * Starts everything.
   * @throws SystemError when the root cannot be used, another server has it, or `httpd-port` cannot be had;
   *   SugarError of a plugin that cannot run when `strict` is set or no plugin runs at all
   */
  async start({ listen }: { listen: boolean }): Promise<void> {
    this.#listening = listen
    try {
      await this.#prepare(listen)
      // What was found wanting before anything ran; the kernel tells of the others.
      for (const member of this.kernel.members) this.#tell(member)
      this.#phase = 'start'
      if (this.#strict) this.#insist()
      await this.kernel.start()
      if (this.#stopping !== undefined) return
      this.#opening = listen ? this.#open() : undefined
      await this.#opening
      this.#insist()
      if (this.#stopping !== undefined) return
      this.#phase = 'ready'
      if (listen) await notify('READY=1', `STATUS=${this.kernel.running().length} plugins run`)
    } catch (error) {
      await (this.#stopping ?? this.stop())
      throw error
    }
  }

  /**
   * Drains and stops; asked again, it hurries: work under way is given up.
   * @returns what could not be undone
   */
  stop(): Promise<Error[]> {
    if (this.#stopping !== undefined) this.#hurry.abort()
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async status(): Promise<HouseStatus> {
    const store = this.kernel.store?.status()
    return {
      phase: this.#phase,
      version,
      plugins: this.kernel.status().map((plugin) => this.#withObstacle(plugin)),
      listeners: this.#phase === 'ready' ? this.#listeners.status() : [],
      ...(store && { store }),
      health: await this.#health(),
    }
  }

  explain(who: string): Promise<Story> {
    return this.kernel.hooks.gather(explain, {}, who)
  }

  /** `accept-directory NAME`. @throws SugarError */
  acceptDirectory(name: string): Accepted {
    const accepted = acceptDirectory(this.#plan, name)
    const { holds, path, before } = accepted
    this.#log.logger.warn({ path, before }, `an operator accepted ${path} as the directory with ${holds}`)
    return accepted
  }

  async command(request: CommandRequest, around: Surroundings): Promise<CommandReply & { exit: number }> {
    const problem = this.#directories.problemOf(request.plugin)
    return problem === undefined ? execute(this.kernel, request, around) : failure(problem)
  }

  async #prepare(listen: boolean): Promise<void> {
    const run = join(this.root, 'run')
    makeRoot(this.root)
    mkdirSync(run, { recursive: true, mode: 0o700 })
    const unlock = takeLock(run)
    this.#undo.add(unlock)
    this.#claimDirectories()
    if (!listen) return
    const close = await openControl(run, {
      status: async () => ({
        ...(await this.status()),
        reports: await this.kernel.hooks.gather(report, {}, undefined),
      }),
      explain: (who) => this.explain(who),
      command: (request, around) => this.command(request, around),
      acceptDirectory: (name) => this.acceptDirectory(name),
      stop: () => this.onStopRequest(),
    })
    this.#undo.add(close)
    this.#serveHealth()
  }

  /** A plugin that cannot use its directory must not start: it would begin anew. */
  #claimDirectories(): void {
    for (const { plugin, problem, canRun } of this.#directories.claim()) {
      const member = this.kernel.members.find(({ name }) => name === plugin)
      if (member?.state !== 'waiting') continue
      const isAway = problem instanceof SugarError && problem.code === 'WRONG_DIRECTORY'
      if (!canRun || this.#strict) member.fail(isAway ? 'unavailable' : 'failed', problem)
      else if (isAway) member.log.error({ code: problem.code, hint: problem.hint }, problem.message)
    }
  }

  async #open(): Promise<void> {
    for (const { plugins, error } of await this.#listeners.open()) {
      // Without its own port the house has no /health, and half of its services would be missing unseen.
      if (plugins.has('core')) throw error
      for (const member of this.kernel.running()) {
        if (plugins.has(member.name)) await this.kernel.fail(member, error)
      }
    }
    await this.kernel.ready()
  }

  /** Logs why a plugin does not run; a command says that itself, but of what no sentence explains it needs the stack. */
  #tell({ name, state, problem, log }: Member, err?: unknown): void {
    const isExplained = err === undefined || err instanceof SugarError
    if (problem === undefined || (isExplained && !this.#listening)) return
    const { code, hint, message } = problem
    log.error({ code, hint, err }, `${name} is ${state}: ${message}`)
  }

  /** A plugin that runs and whose directory is away cannot work: it counts as unavailable until that is back. */
  #withObstacle(status: PluginStatus): PluginStatus {
    const problem = status.state === 'running' ? this.#directories.problemOf(status.name) : undefined
    if (problem === undefined) return status
    const { code, message, hint } = problem
    return { ...status, state: 'unavailable', code, message, ...(hint && { hint }) }
  }

  /** Whether a plugin does not run until its disk is mounted: nothing else here knows its addresses. */
  get #lacksPlugin(): boolean {
    return this.kernel.members.some(({ problem }) => problem?.code === 'WRONG_DIRECTORY')
  }

  get #strict(): boolean {
    return this.#plan.settings.get('strict') === true
  }

  /** @throws SugarError when nothing runs, or when something cannot and `strict` is set */
  #insist(): void {
    const broken = this.kernel.members.find(({ problem }) => problem !== undefined)
    const alive = this.kernel.members.some(({ problem }) => problem === undefined)
    if (broken?.problem === undefined || (alive && !this.#strict)) return
    const { code, message, hint } = broken.problem
    // Laptops are told to come again, and /health tells why.
    if (code === 'WRONG_DIRECTORY' && !this.#strict) return
    throw new SugarError(code, alive ? message : `no plugin can run: ${message}`, {
      hint,
      plugin: broken.name,
    })
  }

  async #stop(): Promise<Error[]> {
    this.#phase = 'drain'
    this.kernel.halt()
    // A socket that is being bound must be there before it can be closed; why it could not be is start()'s to tell.
    if (this.#opening !== undefined) await this.#opening.catch(() => undefined)
    // Not AbortSignal.any() with a timeout: Node 20 forgets such a signal when it collects garbage.
    const seconds = Number(this.#plan.settings.get('drain-seconds'))
    const limit = setTimeout(() => this.#hurry.abort(), seconds * 1000)
    const giveUp = this.#hurry.signal
    if (this.#listening) void notify('STOPPING=1')
    await Promise.all([this.kernel.drain(giveUp), this.#listeners.drain(giveUp)])
    clearTimeout(limit)
    this.#phase = 'stop'
    const errors = [...(await this.kernel.stop()), ...(await this.#undo.dispose())]
    this.#phase = 'stopped'
    return errors
  }

  #serveHealth(): void {
    const router = this.#listeners.router('core', 'httpd-port') as Router
    router.get('/health', async (ctx) => {
      const { phase, plugins, store, health } = await this.status()
      const well =
        phase === 'ready' &&
        plugins.every(({ state }) => state === 'running') &&
        store?.readOnly === undefined &&
        health.length === 0
      ctx.status = well ? 200 : 503
      ctx.body = {
        status: well ? 'ok' : 'degraded',
        phase,
        plugins: Object.fromEntries(plugins.map(({ name, state }) => [name, state])),
        ...(store && { store: store.readOnly === undefined ? 'writable' : 'read-only' }),
      }
    })
  }

  /** Anybody may ask for /health as often as he likes: those who ask at once share one answer. */
  #health(): Promise<HouseStatus['health']> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  async #check(): Promise<HouseStatus['health']> {
    const checks = this.kernel.running().flatMap((member) =>
      member.health.map(async ({ what, check }) => {
        try {
          const late = sleep(checkSeconds * 1000, `it did not answer within ${checkSeconds} s`, {
            ref: false,
          })
          return { plugin: member.name, what, problem: await Promise.race([check(), late]) }
        } catch (error) {
          return { plugin: member.name, what, problem: asError(error).message }
        }
      }),
    )
    const found = await Promise.all(checks)
    return found.flatMap(({ plugin, what, problem }) =>
      problem === undefined ? [] : [{ plugin, what, problem }],
    )
  }
}
