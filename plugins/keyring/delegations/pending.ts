import { open, rm } from 'node:fs/promises'
import { SystemError, systemCode } from '../../../core/api.js'
import type { DelegationDoc } from '../documents.js'
import { replaceFile, unfinished } from '../durable.js'

/**
 * The file of an import that is under way: all its documents, or it is not there. The store keeps one document at a
 * time, so that a crash between two would leave a mixture; what this file holds is written again at the next start.
 * Its first line says how many follow.
 */
export class PendingFile {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  /** @returns when it is on the disk @throws SystemError NO_SPACE, NOT_WRITABLE, and nothing has changed */
  async write(docs: readonly DelegationDoc[]): Promise<void> {
    const lines = [{ count: docs.length }, ...docs].map((value) => `${JSON.stringify(value)}\n`)
    await replaceFile(this.#path, lines.join(''))
  }

  /** Clears away what was half written. @returns what an import that was cut short had taken; nothing if there was none @throws SystemError DAMAGED */
  async read(): Promise<DelegationDoc[]> {
    await rm(unfinished(this.#path), { force: true })
    try {
      const [first, ...docs] = await this.#values()
      if ((first as { count: number } | undefined)?.count === docs.length) return docs as DelegationDoc[]
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return []
      if (!(error instanceof SyntaxError)) throw error
    }
    throw new SystemError('DAMAGED', `${this.#path} is not what an import of delegations wrote`, {
      hint: 'remove it, and import the delegations again',
    })
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true })
  }

  async #values(): Promise<unknown[]> {
    const values: unknown[] = []
    const file = await open(this.#path)
    try {
      for await (const line of file.readLines()) values.push(JSON.parse(line))
    } finally {
      await file.close()
    }
    return values
  }
}
