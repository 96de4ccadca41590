import type Router from 'koa-router'
import type { Logger } from 'pino'
import type { CommandRun, Commands, GivenCommands } from '../command.js'
import type { CoreConfig } from '../config/core-options.js'
import type { Config, Options } from '../config/option.js'
import type { Bindable } from '../http/bind.js'
import type { Collection, CollectionSpec, Collections, Doc } from '../store/contract.js'
import type { AnyHook, Awaitable, Fold, Gate, News, TapFunction, TapOptions } from './hook.js'
import type { Optional, Services, Tokens } from './token.js'

export interface PluginHttp {
  /** Routes on `httpd-port`. */
  readonly router: Router
  /**
   * Routes on a port of the plugin's own, bound once everything has started. Plugins that name the same port
   * share it.
   * @param port name of the option that holds the port: "id-port" makes the listener "id"
   */
  listener(port: string): Router
}

export interface PrepareContext<O extends Options> {
  readonly config: Config<O> & CoreConfig
  readonly log: Logger
}

/** What a plugin is given to start with. */
export interface Context<
  O extends Options,
  N extends Tokens,
  W extends Tokens,
  C extends Collections,
  M extends Commands,
> extends PrepareContext<O> {
  readonly needs: Services<N>
  readonly wants: Optional<W>
  readonly store: {
    readonly [K in keyof C]: C[K] extends CollectionSpec<infer D extends Doc> ? Collection<D> : never
  }
  readonly http: PluginHttp
  /**
   * Has a server of the plugin's own bound to the port that an option holds, with all the others once everything has
   * started; `backup-ssh-port` makes the listener `backup-ssh`. It is closed when draining begins: what is under way
   * then is for the plugin to finish, in `on('drain')`.
   * @param reach.ipv6 where the option `host` is `0.0.0.0`, callers by IPv6 are heard too, if this machine has it. Those
   *   by IPv4 then have the `remoteAddress` `::ffff:192.0.2.1`. Any other `host` stays as it is.
   */
  listen(option: string, server: Bindable, reach?: { ipv6?: boolean }): void
  /** The port that a listener got, by its option: what the option says, but where that is 0. Known from `ready` on. */
  boundPort(option: string): number
  /** Aborted when draining begins. */
  readonly signal: AbortSignal

  /** Adds to a hook. Undone by itself. */
  tap<H extends AnyHook>(hook: H, fn: TapFunction<H>, options?: TapOptions): void
  /** Asks a gate. @throws RequestError of the first tap that refuses */
  ask<Q>(hook: Gate<Q>, question: Q): Promise<void>
  /** Lets every tap add to an answer. */
  gather<A extends object, Q>(hook: Fold<A, Q>, answer: A, question: Q): Promise<A>
  /** Tells news; does not wait and cannot fail. */
  tell<E>(hook: News<E>, event: E): void

  /** `ready`: all sockets are bound. `drain`: the server is about to stop; new work is refused already. */
  on(moment: 'ready' | 'drain', fn: () => Awaitable<void>): void
  /** Runs a job again and again, never two at once; a failure is logged and the next run comes all the same. */
  every(seconds: number, job: () => Awaitable<void>): void
  /** Undone when the plugin stops or its start fails: last in, first out. */
  defer(undo: () => unknown): void
  /** Asked by status and /health. @param check says what is wrong, or undefined */
  health(what: string, check: () => Awaitable<string | undefined>): void
  /** Says what a declared command does; not one with `here`, which says so itself. */
  command<K extends GivenCommands<M>>(name: K, run: CommandRun<M[K]>): void
}
