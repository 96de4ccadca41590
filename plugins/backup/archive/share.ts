import { type Ledger, shareOf } from '../session/ledger.js'
import type { Archivist } from './archivist.js'

/** Share of what all may have from which an operator is warned. */
const near = 0.9

/** What all backups take together, and what they may. */
export class Share {
  readonly #archivist: Archivist
  readonly #ledger: Ledger
  readonly #most: number
  #objects: number | undefined

  /** @param most bytes; 0: any number */
  constructor(archivist: Archivist, ledger: Ledger, most: number) {
    this.#archivist = archivist
    this.#ledger = ledger
    this.#most = most
  }

  /** Counts anew what the objects take. */
  async measure(): Promise<void> {
    if (this.#most > 0) this.#objects = await this.#archivist.run('size', {})
  }

  /** A snapshot added so many bytes. */
  grew(bytes: number): void {
    if (this.#objects !== undefined) this.#objects += bytes
  }

  /** Why nothing more is taken in; undefined when there is room. */
  problem(): string | undefined {
    return this.#most > 0 && this.#used > this.#most ? this.#words : undefined
  }

  /** What an operator should know before it comes to that. */
  warning(): string | undefined {
    return this.#most > 0 && this.#used > near * this.#most ? this.#words : undefined
  }

  get #used(): number {
    return (
      (this.#objects ?? 0) + this.#ledger.all().reduce((sum, doc) => sum + shareOf({ ...doc, history: 0 }), 0)
    )
  }

  get #words(): string {
    const of = (bytes: number) => Math.round(bytes / 1e6)
    return `backups take ${of(this.#used)} of ${of(this.#most)} MB: keep fewer snapshots, or raise backup-quota-all`
  }
}
