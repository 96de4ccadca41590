import type { Logger } from 'pino'
import type { CommandRun } from '../command.js'
import { asError, type Problem, problemOf, SugarError } from '../errors.js'
import type { Awaitable } from './hook.js'
import type { Plugin } from './plugin.js'
import { UndoStack } from './undo.js'

/**
 * - waiting, starting: not there yet
 * - running
 * - unavailable: the machine lacks something it must have
 * - blocked: a plugin that it uses does not run
 * - failed: it threw, or is no plugin for this server
 * - stopped
 */
export type State = 'waiting' | 'starting' | 'running' | 'unavailable' | 'blocked' | 'failed' | 'stopped'

export interface PluginStatus {
  name: string
  state: State
  /** Milliseconds that its preparation and start took. */
  ms: number
  code?: string
  /** What is wrong. */
  message?: string
  /** What to do about it. */
  hint?: string
}

export interface HealthCheck {
  what: string
  check: () => Awaitable<string | undefined>
}

/** An enabled plugin on its way through the lifecycle. */
export class Member {
  readonly name: string
  readonly plugin: Plugin | undefined
  readonly log: Logger
  state: State = 'waiting'
  ms = 0
  problem: Problem | undefined
  readonly undo = new UndoStack((err) =>
    this.log.error({ err }, `${this.name}: an undo failed: ${err.message}`),
  )
  readonly drain = new AbortController()
  readonly moments = { ready: [] as (() => Awaitable<void>)[], drain: [] as (() => Awaitable<void>)[] }
  readonly health: HealthCheck[] = []
  // biome-ignore lint/suspicious/noExplicitAny: each command has a type of its own, checked where it is given.
  readonly commands = new Map<string, CommandRun<any>>()

  constructor(name: string, plugin: Plugin | undefined, problem: Problem | undefined, log: Logger) {
    this.name = name
    this.plugin = plugin
    this.log = log
    if (problem !== undefined) {
      this.state = 'failed'
      this.problem = problem
    }
  }

  status(): PluginStatus {
    const { name, state, ms, problem } = this
    const why = problem && {
      code: problem.code,
      message: problem.message,
      ...(problem.hint && { hint: problem.hint }),
    }
    return { name, state, ms: Math.round(ms), ...why }
  }

  /** Notes why it does not run. */
  fail(state: 'unavailable' | 'blocked' | 'failed', thrown: unknown): void {
    this.state = state
    this.problem =
      thrown instanceof SugarError
        ? problemOf(thrown)
        : { code: 'PLUGIN_FAILED', message: asError(thrown).message }
  }

  /** @returns errors of undos that failed */
  dispose(): Promise<Error[]> {
    this.drain.abort()
    return this.undo.dispose()
  }
}
