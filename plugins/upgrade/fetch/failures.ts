/** What could not be fetched, and why. */
export interface Failure {
  readonly name: string
  readonly why: string
  /** Milliseconds since 1970: when it may be tried again. */
  readonly until: number
}

/** Milliseconds for which a failure is remembered. */
const remembered = 600_000
const mostNames = 1000

/** Failures of the last minutes, so that a class that asks again does not have each of its questions asked anew. */
export class Failures {
  readonly #failures = new Map<string, Failure>()

  note(name: string, why: string): void {
    this.#failures.delete(name)
    const [oldest] = this.#failures.keys()
    if (oldest !== undefined && this.#failures.size >= mostNames) this.#failures.delete(oldest)
    this.#failures.set(name, { name, why, until: Date.now() + remembered })
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

/** How long it is until then, in whole minutes. */
export const minutesUntil = (until: number): number => Math.max(1, Math.ceil((until - Date.now()) / 60_000))

export const minutes = (count: number): string => (count === 1 ? '1 minute' : `${count} minutes`)
