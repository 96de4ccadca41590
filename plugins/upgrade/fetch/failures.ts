import { type ErrorCode, RequestError } from '../../../core/api.js'
import { passes } from '../sources/fault.js'

/** What could not be fetched, and why. */
export interface Failure {
  readonly name: string
  /** Words that follow the name of the build. */
  readonly why: string
  readonly code: ErrorCode
  /** Milliseconds since 1970: when it may be tried again. */
  readonly until: number
}

/** Milliseconds for which a failure is remembered; less where a part has come that can be gone on with. */
const remembered = 600_000
const rememberedPart = 60_000
/** Characters of a reason in one line. What is behind it must stay in what a client's user is shown. */
const longest = 250
const mostNames = 1000

/** Failures of the last minutes, so that a class that asks again does not have each of its questions asked anew. */
export class Failures {
  readonly #failures = new Map<string, Failure>()

  /** @param isPart whether something has come that can be gone on with */
  note(name: string, { why, code, isPart }: Pick<Failure, 'why' | 'code'> & { isPart: boolean }): Failure {
    this.#failures.delete(name)
    const [oldest] = this.#failures.keys()
    if (oldest !== undefined && this.#failures.size >= mostNames) this.#failures.delete(oldest)
    const until = Date.now() + (isPart ? rememberedPart : remembered)
    const failure = { name, why, code, until }
    this.#failures.set(name, failure)
    return failure
  }

  get(name: string): Failure | undefined {
    const found = this.#failures.get(name)
    const left = (found?.until ?? 0) - Date.now()
    // A clock that was set back must not make minutes into years.
    if (left > 0 && left <= remembered) return found
    this.#failures.delete(name)
    return undefined
  }

  forget(name: string): void {
    this.#failures.delete(name)
  }

  /** The newest last. */
  all(): Failure[] {
    return [...this.#failures.keys()].flatMap((name) => this.get(name) ?? [])
  }
}

/** A reason, cut to where it fits a line. */
export const shortened = (why: string): string =>
  why.length > longest ? `${why.slice(0, longest)} ...` : why

/** What those are told who ask for it: when to ask again, or whom to tell. */
export function errorOf({ name, why: whole, code, until }: Failure): RequestError {
  const why = shortened(whole)
  if (!passes({ code })) {
    return new RequestError(code, `build-${name} ${why}`, { hint: 'tell whoever looks after the server' })
  }
  const left = Math.max(1, Math.ceil((until - Date.now()) / 60_000))
  return new RequestError('UNAVAILABLE', `build-${name} ${why}; try again in ${minutes(left)}`)
}

export const minutes = (count: number): string => (count === 1 ? '1 minute' : `${count} minutes`)
