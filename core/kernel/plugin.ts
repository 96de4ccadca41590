import type { Commands, FittingCommands } from '../command.js'
import type { Options } from '../config/option.js'
import { PluginError } from '../errors.js'
import type { Probe } from '../probe.js'
import type { CollectionSpec, Collections, Doc } from '../store/contract.js'
import type { Context, PrepareContext } from './context.js'
import type { Awaitable } from './hook.js'
import type { Services, Token, Tokens } from './token.js'

/** The plugin API of this kernel. */
export const api = 1

// Empty records, so that a plugin which declares none cannot use any.
type None = Record<never, never>

export interface PluginSpec<
  O extends Options = None,
  N extends Tokens = None,
  W extends Tokens = None,
  P extends Tokens = None,
  C extends Collections = None,
  M extends Commands = None,
> {
  /** In routes, commands and log lines: lower-case letters, digits and hyphens. */
  readonly name: string
  /** The plugin API it was written for. */
  readonly api: typeof api
  /** One line for `sugar-server plugins`. */
  readonly summary: string
  /** Keys are the whole option names, the same in files, flags and docs. */
  readonly options?: O
  /** Services without which it cannot run. */
  readonly needs?: N
  /** Services it uses when they are there. */
  readonly wants?: W
  /** Services that start() returns, exactly these. */
  readonly provides?: P
  readonly collections?: C
  /** What the machine must have. */
  readonly system?: readonly Probe[]
  readonly commands?: M & FittingCommands<M>
  /** Makes files and directories; run at each start, so repeatable. */
  prepare?(ctx: PrepareContext<O>): Awaitable<void>
  /** Builds, taps, routes. Whatever it opens it hands to `ctx.defer`. */
  start(ctx: Context<O, N, W, C, M>): Awaitable<keyof P extends never ? void : Services<NoInfer<P>>>
}

/** A plugin as the kernel sees it, its types forgotten. */
export interface Plugin {
  readonly name: string
  readonly api: number
  readonly summary: string
  readonly options: Options
  readonly needs: Tokens
  readonly wants: Tokens
  readonly provides: Tokens
  readonly collections: Readonly<Record<string, CollectionSpec<Doc>>>
  readonly system: readonly Probe[]
  readonly commands: Commands
  prepare?(ctx: unknown): Awaitable<void>
  start(ctx: unknown): Awaitable<unknown>
}

/** Makes a plugin: a frozen object, the default export of its module. */
export function definePlugin<
  const O extends Options = None,
  const N extends Readonly<Record<string, Token<unknown>>> = None,
  const W extends Readonly<Record<string, Token<unknown>>> = None,
  const P extends Readonly<Record<string, Token<unknown>>> = None,
  const C extends Collections = None,
  const M extends Commands = None,
>(spec: PluginSpec<O, N, W, P, C, M>): Plugin {
  return Object.freeze({
    options: {},
    needs: {},
    wants: {},
    provides: {},
    collections: {},
    system: [],
    commands: {},
    ...spec,
  }) as unknown as Plugin
}

/** A plugin that did not do what it promised. */
export const broken = (plugin: Plugin, message: string): PluginError =>
  new PluginError('SERVICE_UNDECLARED', `${plugin.name}: ${message}`, { plugin: plugin.name })
