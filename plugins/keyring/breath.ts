import { setImmediate } from 'node:timers/promises'

/** Milliseconds for which others wait. */
const patience = 10

/** Lets others have their turn in work that goes on for long without waiting for anything. */
export class Breath {
  #last = performance.now()

  get isDue(): boolean {
    return performance.now() - this.#last > patience
  }

  async take(): Promise<void> {
    await setImmediate()
    this.#last = performance.now()
  }
}
