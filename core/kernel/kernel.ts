import 'reflect-metadata'
import type { Logger } from 'pino'
import { container } from 'tsyringe'
import type { Commands } from '../command.js'
import { coreOptions } from '../config/core-options.js'
import type { Settings } from '../config/settings.js'
import { asError, PluginError, type Problem } from '../errors.js'
import type { Listeners } from '../http/listeners.js'
import { repeat } from '../repeat.js'
import { type Collection, type Collections, type Doc, Store } from '../store/contract.js'
import type { Context } from './context.js'
import { dependantsOf, neededBy, providersOf } from './graph.js'
import { Hooks } from './hooks.js'
import { Member, type PluginStatus } from './member.js'
import { broken, type Plugin } from './plugin.js'
import { step } from './step.js'
import type { Tokens } from './token.js'

/** What a kernel is made from. */
export interface Parts {
  members: readonly { name: string; plugin?: Plugin; problem?: Problem }[]
  settings: Settings
  log: Logger
  listeners: Listeners
  /** Makes the house's own store; asked for only when documents are kept and no plugin provides one. */
  store: () => Store
  /** Told which plugin cannot run, and what was thrown, before what it did is undone. */
  failed: (member: Member, thrown: unknown) => void
}

type AnyContext = Context<Record<never, never>, Tokens, Tokens, Collections, Commands>

/**
 * Runs plugins: works out what each is given, starts them in order, contains failures, and undoes everything in
 * reverse. tsyringe is the shelf on which finished services stand; nobody else touches the container.
 */
export class Kernel {
  readonly members: readonly Member[]
  readonly hooks: Hooks
  readonly #parts: Parts
  readonly #shelf = container.createChildContainer()
  readonly #providers: ReadonlyMap<string, Plugin>
  #ownStore: Store | undefined
  readonly #stop = new AbortController()
  readonly #stopped = aborted(this.#stop.signal)

  constructor(parts: Parts) {
    this.#parts = parts
    this.members = parts.members.map(
      ({ name, plugin, problem }) => new Member(name, plugin, problem, parts.log.child({ plugin: name })),
    )
    // Those that cannot run count, behind those that can: documents must not go to another store meanwhile.
    this.#providers = providersOf(this.members.flatMap(({ plugin }) => plugin ?? []).reverse())
    this.hooks = new Hooks((plugin, hook, err) =>
      this.#logOf(plugin).error({ hook, err }, `a tap of ${hook} failed: ${err.message}`),
    )
  }

  /** The phases *prepare* and *start*. Plugins that fail are marked; nothing is thrown for them. */
  async start(): Promise<void> {
    for (const member of this.#able()) {
      if (!this.#stopping) await this.#step(member, 'prepare', () => this.#prepare(member))
    }
    for (const member of this.#able()) {
      if (!this.#stopping) await this.#step(member, 'start', () => this.#start(member))
    }
  }

  /** The phase *ready*: every socket is bound. */
  async ready(): Promise<void> {
    for (const member of this.running()) {
      // One that failed before it may have taken this one out.
      if (member.state !== 'running') continue
      const moments = async () => {
        for (const fn of member.moments.ready) await fn()
      }
      await this.#step(member, 'ready', moments, (error) => this.fail(member, error))
    }
  }

  /** Gives up what is being prepared or started. Before drain() and stop(). */
  halt(): void {
    this.#stop.abort()
  }

  /** The phase *drain*: signals abort, and plugins may finish what they began. @param signal gives up waiting */
  async drain(signal: AbortSignal): Promise<void> {
    this.#stop.abort()
    const running = this.running()
    for (const member of this.members) {
      if (member.state === 'running' || member.state === 'starting') member.drain.abort()
    }
    const work = running.flatMap((member) =>
      member.moments.drain.map(async (fn) => {
        try {
          await fn()
        } catch (error) {
          member.log.error({ err: error }, `${member.name} could not finish its work`)
        }
      }),
    )
    // What they finish may be news.
    const done = Promise.all(work).then(() => this.hooks.settled())
    await Promise.race([done, aborted(signal)])
  }

  /** The phase *stop*: everything undone in reverse. @returns the errors of what could not be undone */
  async stop(): Promise<Error[]> {
    this.#stop.abort()
    const errors: Error[] = []
    for (const member of [...this.members].reverse()) {
      if (member.state !== 'running' && member.state !== 'starting') continue
      member.state = 'stopped'
      errors.push(...(await member.dispose()))
    }
    try {
      await this.#ownStore?.close()
    } catch (error) {
      errors.push(asError(error))
    }
    this.#shelf.clearInstances()
    return errors
  }

  /** Takes a plugin that runs out of the house, after those that need it. */
  async fail(member: Member, thrown: unknown): Promise<void> {
    const plugins = this.running().map(({ plugin }) => plugin as Plugin)
    const users = member.plugin === undefined ? new Set<Plugin>() : dependantsOf(member.plugin, plugins)
    for (const user of this.running().reverse()) {
      if (user.plugin !== undefined && users.has(user.plugin))
        await this.#drop(user, 'blocked', blockedBy(user, member))
    }
    await this.#drop(member, 'failed', thrown)
  }

  running(): Member[] {
    return this.members.filter(({ state }) => state === 'running')
  }

  status(): PluginStatus[] {
    return this.members.map((member) => member.status())
  }

  /** The store that plugins were given, if any keeps documents. */
  get store(): Store | undefined {
    return this.#shelf.isRegistered(Store.id) ? this.#shelf.resolve<Store>(Store.id) : undefined
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted
  }

  #able(): Member[] {
    if (this.#stopping) return []
    return this.members.filter(({ state, plugin }) => state === 'waiting' && plugin !== undefined)
  }

  #logOf(plugin: string): Logger {
    return this.members.find(({ name }) => name === plugin)?.log ?? this.#parts.log
  }

  #step(
    member: Member,
    what: string,
    work: () => Promise<void>,
    fail = (error: unknown) => this.#drop(member, 'failed', error),
  ): Promise<void> {
    return step(member, what, work, { stop: this.#stop.signal, stopped: this.#stopped, fail })
  }

  async #drop(member: Member, state: 'unavailable' | 'blocked' | 'failed', thrown: unknown): Promise<void> {
    this.#parts.listeners.release(member.name)
    member.fail(state, thrown)
    this.#parts.failed(member, thrown)
    await member.dispose()
  }

  async #prepare(member: Member): Promise<void> {
    const { plugin } = member as { plugin: Plugin }
    for (const probe of plugin.system) {
      const problem = await probe.look(this.#parts.settings)
      if (problem === undefined) continue
      if (probe.advice !== true) return this.#drop(member, 'unavailable', problem)
      member.log.warn({ hint: problem.hint }, problem.message)
    }
    await plugin.prepare?.({ config: this.#configOf(plugin), log: member.log })
  }

  async #start(member: Member): Promise<void> {
    const { plugin } = member as { plugin: Plugin }
    const idle = neededBy(plugin, this.#providers).find(
      (needed) => !this.running().some((other) => other.plugin === needed),
    )
    if (idle !== undefined) return this.#drop(member, 'blocked', blockedBy(member, idle))
    member.state = 'starting'
    const services = (await plugin.start(await this.#contextOf(member, plugin))) ?? {}
    // It was stopped, or took too long, behind its back: then what it deferred has been undone already.
    if (member.state !== 'starting') return
    const silent = Object.entries(plugin.commands).find(
      ([name, { here }]) => here === undefined && !member.commands.has(name),
    )
    if (silent !== undefined) throw broken(plugin, `start() did not say what the command "${silent[0]}" does`)
    this.#shelve(plugin, services as Record<string, unknown>)
    member.state = 'running'
  }

  #shelve(plugin: Plugin, services: Record<string, unknown>): void {
    const promised = Object.keys(plugin.provides)
    const missing = promised.filter((name) => services[name] === undefined || services[name] === null)
    const extra = Object.keys(services).filter((name) => !promised.includes(name))
    if (missing.length > 0) throw broken(plugin, `start() did not return ${missing.join(', ')}`)
    if (extra.length > 0)
      throw broken(plugin, `start() returned ${extra.join(', ')}, which it does not provide`)
    for (const [name, { id }] of Object.entries(plugin.provides))
      this.#shelf.registerInstance(id, services[name])
  }

  #services(tokens: Tokens): Record<string, unknown> {
    const entries = Object.entries(tokens).filter(([, { id }]) => this.#shelf.isRegistered(id))
    return Object.freeze(Object.fromEntries(entries.map(([name, { id }]) => [name, this.#shelf.resolve(id)])))
  }

  #configOf(plugin: Plugin): never {
    return this.#parts.settings.pick({ ...coreOptions, ...plugin.options }) as never
  }

  async #contextOf(member: Member, plugin: Plugin): Promise<AnyContext> {
    const { hooks } = this
    const { listeners } = this.#parts
    const router = (option: string) => {
      const made = listeners.router(plugin.name, option)
      member.undo.add(() => listeners.release(plugin.name))
      return made
    }
    let httpd: ReturnType<typeof router> | undefined
    return {
      config: this.#configOf(plugin),
      log: member.log,
      needs: this.#services(plugin.needs) as never,
      wants: this.#services(plugin.wants) as never,
      store: (await this.#openCollections(plugin)) as never,
      http: {
        get router() {
          httpd ??= router('httpd-port')
          return httpd
        },
        listener: router,
      },
      listen: (option, server, reach) => listeners.server(plugin.name, option, server, reach),
      boundPort: (option) => listeners.boundPort(option),
      signal: member.drain.signal,
      tap: (hook, fn, options) => member.undo.add(hooks.tap(hook, plugin.name, fn, options)),
      ask: (hook, question) => hooks.ask(hook, question),
      gather: (hook, answer, question) => hooks.gather(hook, answer, question),
      tell: (hook, event) => hooks.tell(hook, event),
      on: (moment, fn) => void member.moments[moment].push(fn),
      every: (seconds, job) => member.undo.add(repeat(seconds, job, member.log)),
      defer: (undo) => member.undo.add(undo),
      health: (what, check) => void member.health.push({ what, check }),
      command: (name, run) => {
        const spec = plugin.commands[name]
        if (spec === undefined) throw broken(plugin, `the command "${name}" is not declared`)
        if (spec.here !== undefined)
          throw broken(
            plugin,
            `the command "${name}" runs where it is typed, and start() cannot say what it does`,
          )
        member.commands.set(name, run)
      },
    }
  }

  async #openCollections(plugin: Plugin): Promise<Record<string, Collection<Doc>>> {
    const specs = Object.entries(plugin.collections)
    if (specs.length > 0 && !this.#shelf.isRegistered(Store.id)) {
      this.#ownStore = this.#parts.store()
      this.#shelf.registerInstance(Store.id, this.#ownStore)
    }
    const open = async ([name, spec]: (typeof specs)[number]) =>
      [name, await this.#shelf.resolve<Store>(Store.id).open(`${plugin.name}/${name}`, spec)] as const
    return Object.freeze(Object.fromEntries(await Promise.all(specs.map(open))))
  }
}

const blockedBy = (member: Member, by: { name: string }): PluginError =>
  new PluginError('SERVICE_MISSING', `${member.name} uses ${by.name}, which does not run`, {
    plugin: member.name,
    hint: `see why ${by.name} does not run`,
  })

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
