import { asError } from '../errors.js'

export type Undoing = () => unknown

/**
 * What must be undone, last in, first out.
 *
 * - Every undo runs, whatever the others do; their errors are collected.
 * - Disposing twice gives the same promise, so each undo runs once.
 * - What is added after disposal began is undone at once: a start that goes on behind our back leaves nothing.
 */
export class UndoStack {
  #undos: Undoing[] = []
  #disposal: Promise<Error[]> | undefined
  #late: Promise<void>[] = []
  #errors: Error[] = []

  add(undo: Undoing): void {
    if (this.#disposal === undefined) {
      this.#undos.push(undo)
      return
    }
    this.#late.push(this.#attempt(undo))
  }

  /** Runs every undo. @returns the errors of those that failed, in the order they ran */
  dispose(): Promise<Error[]> {
    this.#disposal ??= this.#run()
    return this.#disposal
  }

  async #run(): Promise<Error[]> {
    // Yields first, so that #disposal is set before an undo can call add() or dispose() itself.
    await Promise.resolve()
    for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) await this.#attempt(undo)
    while (this.#late.length > 0) await this.#late.pop()
    return this.#errors
  }

  async #attempt(undo: Undoing): Promise<void> {
    try {
      await undo()
    } catch (error) {
      this.#errors.push(asError(error))
    }
  }
}
