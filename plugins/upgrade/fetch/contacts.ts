import type { Logger } from '../../../core/api.js'
import type { Source } from '../sources/source.js'

/** What a source said the last time it was asked. */
export interface Contact {
  readonly source: string
  /** ISO 8601, UTC. */
  readonly at: string
  /** What was wrong, where something was. */
  readonly fault: string | undefined
}

/** How it went with each source the last time. */
export class Contacts {
  readonly #log: Logger
  readonly #contacts = new Map<string, Contact>()

  constructor(log: Logger) {
    this.#log = log
  }

  note({ shown: source }: Pick<Source, 'shown'>, fault?: string): void {
    // A school without Internet need not read of it each time.
    if (fault !== undefined && this.#contacts.get(source)?.fault === undefined)
      this.#log.warn({ source }, fault)
    this.#contacts.set(source, { source, at: new Date().toISOString(), fault })
  }

  list(): Contact[] {
    return [...this.#contacts.values()]
  }
}
