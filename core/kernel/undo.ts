import { asError } from '../errors.js'

export type Undoing = () => unknown

// An undo that hangs must not keep the others from being undone.
const undoSeconds = 10

/**
 * What must be undone, last in, first out.
 *
 * - Every undo runs, whatever the others do; their errors are collected. One that hangs has failed.
 * - Disposing twice gives the same promise, so each undo runs once.
 * - What is added after disposal began is undone at once: a start that goes on behind our back leaves nothing.
 */
export class UndoStack {
  #undos: Undoing[] = []
  #disposal: Promise<Error[]> | undefined
  #late: Promise<void>[] = []
  #errors: Error[] = []
  readonly #failed: (error: Error) => void
  readonly #seconds: number

  /** @param failed told of each error as it happens: nobody may be left to ask for that of a late undo */
  constructor(failed: (error: Error) => void = () => undefined, seconds = undoSeconds) {
    this.#failed = failed
    this.#seconds = seconds
  }

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
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const error = new Error(`it took longer than ${this.#seconds} s`)
      timer = setTimeout(() => reject(error), this.#seconds * 1000)
    })
    try {
      await Promise.race([undo(), late])
    } catch (thrown) {
      const error = asError(thrown)
      this.#errors.push(error)
      this.#failed(error)
    } finally {
      clearTimeout(timer)
    }
  }
}
