import tapable from 'tapable'
import { asError, PluginError, SugarError } from '../errors.js'
import type { AnyHook, Fold, Gate, News, TapFunction, TapOptions } from './hook.js'

/** What a failing tap is told to: the name of its plugin, the hook, the error. */
export type TapFailed = (plugin: string, hook: string, error: Error) => void

/** The hooks of one kernel. tapable cannot untap, so hooks live as long as their kernel and no longer. */
export class Hooks {
  readonly #gates = new Map<string, tapable.AsyncSeriesHook<[unknown, number]>>()
  readonly #folds = new Map<string, tapable.AsyncSeriesWaterfallHook<[object, unknown, number]>>()
  readonly #news = new Map<string, tapable.AsyncParallelHook<[unknown]>>()
  readonly #telling = new Set<Promise<void>>()
  readonly #failed: TapFailed

  constructor(failed: TapFailed) {
    this.#failed = failed
  }

  /** @returns the undo: after it the tap is passed over */
  tap<H extends AnyHook>(
    hook: H,
    plugin: string,
    fn: TapFunction<H>,
    { order = 0, required = false }: TapOptions = {},
  ): () => void {
    let live = true
    const run = fn as (...args: unknown[]) => unknown
    const call = (until: number, ...args: unknown[]) => within(hook, plugin, until, () => run(...args))
    const options = { name: plugin, stage: order }
    if (hook.kind === 'gate') {
      this.#gate(hook.id).tapPromise(options, async (question, until) => {
        if (live) await call(until, question)
      })
    } else if (hook.kind === 'fold') {
      this.#fold(hook.id).tapPromise(options, async (answer, question, until) => {
        if (!live) return answer
        try {
          return merge(answer, await call(until, Object.freeze({ ...answer }), question), (key) => {
            this.#failed(plugin, hook.id, new Error(`"${key}" is in the answer already`))
          })
        } catch (error) {
          this.#failed(plugin, hook.id, asError(error))
          if (required) throw error
          return answer
        }
      })
    } else {
      this.#event(hook.id).tapPromise(options, async (event) => {
        if (!live) return
        try {
          await call(Number.POSITIVE_INFINITY, event)
        } catch (error) {
          this.#failed(plugin, hook.id, asError(error))
        }
      })
    }
    return () => {
      live = false
    }
  }

  /** @throws RequestError of the first tap that refuses; PluginError of one that breaks */
  async ask<Q>(hook: Gate<Q>, question: Q): Promise<void> {
    await this.#gates.get(hook.id)?.promise(question, endOf(hook))
  }

  /**
   * @returns the answer with what each tap added; a key that is taken stays as it was
   * @throws what a required tap threw
   */
  async gather<A extends object, Q>(hook: Fold<A, Q>, answer: A, question: Q): Promise<A> {
    const tapped = this.#folds.get(hook.id)
    return tapped === undefined ? answer : ((await tapped.promise(answer, question, endOf(hook))) as A)
  }

  tell<E>(hook: News<E>, event: E): void {
    const tapped = this.#news.get(hook.id)
    if (tapped === undefined) return
    const telling: Promise<void> = tapped.promise(event).finally(() => this.#telling.delete(telling))
    this.#telling.add(telling)
  }

  /** Resolves when all news has been heard, and what was told on hearing it. */
  async settled(): Promise<void> {
    while (this.#telling.size > 0) await Promise.all(this.#telling)
  }

  #gate(id: string) {
    return entry(this.#gates, id, () => new tapable.AsyncSeriesHook<[unknown, number]>(['question', 'until']))
  }

  #fold(id: string) {
    return entry(
      this.#folds,
      id,
      () => new tapable.AsyncSeriesWaterfallHook<[object, unknown, number]>(['answer', 'question', 'until']),
    )
  }

  #event(id: string) {
    return entry(this.#news, id, () => new tapable.AsyncParallelHook<[unknown]>(['event']))
  }
}

function entry<V>(map: Map<string, V>, id: string, make: () => V): V {
  let value = map.get(id)
  if (value === undefined) {
    value = make()
    map.set(id, value)
  }
  return value
}

/** When all taps together must have answered: whoever asks waits for twice a tap's time, however many are stuck. */
const endOf = ({ seconds }: AnyHook): number => performance.now() + 2 * seconds * 1000

/**
 * Runs a tap under its hook's deadline, and puts the plugin's name on whatever it throws.
 * @param until the end for all taps of the hook; one that has no time left must answer at once
 */
async function within(hook: AnyHook, plugin: string, until: number, work: () => unknown): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  try {
    const result = work()
    if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return result
    const late = new Promise<never>((_, reject) => {
      const left = Math.max(0, Math.min(hook.seconds * 1000, until - performance.now()))
      timer = setTimeout(() => {
        const message = `${plugin} did not answer ${hook.id} within ${Number((left / 1000).toFixed(2))} s`
        reject(new PluginError('HOOK_TIMEOUT', message, { plugin }))
      }, left)
      // Nobody waits for news: it must not keep an ended server alive.
      if (hook.kind === 'news') timer.unref()
    })
    return await Promise.race([result, late])
  } catch (error) {
    if (error instanceof SugarError) throw error
    const cause = asError(error)
    throw new PluginError('INTERNAL', `${plugin} failed in ${hook.id}: ${cause.message}`, { plugin, cause })
  } finally {
    clearTimeout(timer)
  }
}

/** The answer with what is new in `addition`; objects in both are merged, so that several plugins can fill one. */
function merge(answer: object, addition: unknown, taken: (key: string) => void): object {
  const merged: Record<string, unknown> = { ...answer }
  for (const [key, value] of Object.entries(addition ?? {})) {
    const present = Object.hasOwn(merged, key) ? merged[key] : undefined
    const whole =
      isObject(present) && isObject(value)
        ? merge(present, value, (inner) => taken(`${key}.${inner}`))
        : value
    if (present !== undefined && whole === value) taken(key)
    else
      Object.defineProperty(merged, key, {
        value: whole,
        enumerable: true,
        configurable: true,
        writable: true,
      })
  }
  return merged
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
