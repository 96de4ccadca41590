export type Awaitable<T> = T | Promise<T>

interface HookName {
  /** `owner/word@1`, like a token's id. */
  readonly id: string
  /** How long one tap may take before it counts as failed; all of a gate or fold together, twice that. */
  readonly seconds: number
}

/** A question that any tap may refuse, by throwing a RequestError. A tap that fails refuses too. */
export interface Gate<Q> extends HookName {
  readonly kind: 'gate'
  readonly asks?: Q
}

/** An answer to which each tap adds its part. A tap that fails adds nothing, and the log says so. */
export interface Fold<A extends object, Q> extends HookName {
  readonly kind: 'fold'
  readonly asks?: Q
  readonly answers?: A
}

/** An event. The teller neither waits nor hears of failures; the log does. */
export interface News<E> extends HookName {
  readonly kind: 'news'
  readonly tells?: E
}

export type AnyHook = Gate<unknown> | Fold<object, unknown> | News<unknown>

const defaultSeconds = 2
const newsSeconds = 300

export const gate = <Q>(id: string, { seconds = defaultSeconds } = {}): Gate<Q> =>
  Object.freeze({ kind: 'gate', id, seconds })
export const fold = <A extends object, Q>(id: string, { seconds = defaultSeconds } = {}): Fold<A, Q> =>
  Object.freeze({ kind: 'fold', id, seconds })
export const news = <E>(id: string, { seconds = newsSeconds } = {}): News<E> =>
  Object.freeze({ kind: 'news', id, seconds })

/** A tap's function, by the kind of its hook. */
export type TapFunction<H> =
  H extends Gate<infer Q>
    ? (question: Q) => Awaitable<void>
    : H extends Fold<infer A, infer Q>
      ? (answer: Readonly<A>, question: Q) => Awaitable<Partial<A> | undefined>
      : H extends News<infer E>
        ? (event: E) => Awaitable<void>
        : never

export interface TapOptions {
  /** Lower first; 0 if not said. */
  readonly order?: number
  /** For a fold: without this part the answer is worse than none, so a failure fails the whole question. */
  readonly required?: boolean
}
